"""What every source of tables is held to."""

import threading
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType
from typing import Any, ClassVar, Protocol, runtime_checkable

import duckdb
import pytest

from headgate import dataplane
from headgate.errors import HeadgateError, SourceError, SourceObjectMissing
from headgate.model.windows import DeltaColumn, Window
from headgate.sources import Selection, Source
from headgate.testing.source_suite.reading import ALWAYS, multiset, read, secretless

__all__ = ["VALUES", "TableKit", "TableSuite"]

_DAY = datetime(2024, 3, 31, tzinfo=UTC)  # a day on which clocks change in Europe
_NEXT = _DAY + timedelta(days=1)
_MICROSECOND = timedelta(microseconds=1)
_NAMES = ('we"ird', "it's", "semi;colon -- /*", "Ünïcode 🚪", "select", "MiXeD", "a.b", "back`tick\\", " pad ")
_PATIENCE = 60

VALUES: Mapping[str, Sequence[Any]] = MappingProxyType(
    {
        "boolean": (True, False),
        "long": (-(2**63), 2**63 - 1, 0),
        "double": (0.1, -1e300, 5e-324),
        "decimal(18,4)": (Decimal("99999999999999.9999"), Decimal("-0.0001")),
        "string": ("plain", "quote ' \" \\ ` \n \t", "ünï 🚪", " pad "),
        "date": (date(1970, 1, 1), date(1900, 2, 28), date(2999, 12, 31)),
        "timestamp": (datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(1970, 1, 1), datetime(2024, 3, 31, 2, 30)),
        "timestamptz": (datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), datetime(2024, 3, 31, 1, tzinfo=UTC)),
        "binary": (b"", b"\x00\xff\\x00"),
    }
)
"""By lake type, values that must arrive as they are. NULL must, too."""

_FORMS: Mapping[str, tuple[str, str | None, timedelta]] = {
    "timestamp": ("timestamp", None, _MICROSECOND),
    "timestamptz": ("timestamptz", None, _MICROSECOND),
    "date": ("date", None, timedelta(days=1)),
    "epoch_s": ("long", "epoch_s", timedelta(seconds=1)),
    "epoch_ms": ("long", "epoch_ms", timedelta(milliseconds=1)),
    "epoch_us": ("long", "epoch_us", _MICROSECOND),
    "text": ("string", "yyyy-MM-dd HH:mm:ss", timedelta(seconds=1)),
}


@runtime_checkable
class TableKit(Protocol):
    """A system with tables, for the suite to fill and read."""

    @property
    def types(self) -> Sequence[str]:
        """The lake types, of `VALUES`, that the system has a type for."""

    @property
    def secrets(self) -> Sequence[str]:
        """What no error may show: passwords, tokens, of `broken()` too."""

    @property
    def filters(self) -> bool:
        """Whether the source takes row filters."""

    def open(self) -> Source:
        """The source, by a connection that works. A fresh one at every call."""

    def broken(self) -> Source | None:
        """The source, by a connection that leads nowhere or is not let in; None where there is no such thing."""

    def table(self, name: str, columns: Mapping[str, str], rows: Sequence[Sequence[Any]]) -> Selection:
        """Make a table with `columns` (lake types by name, of `types`) and `rows`; what selects it."""


class TableSuite:
    """Windows, values, splits, names, breaking off, looking around, errors."""

    deltas: ClassVar[Sequence[str]] = tuple(_FORMS)
    """How delta columns of the system may stand for times; a subclass names fewer where it has fewer."""

    names: ClassVar[Sequence[str]] = _NAMES
    """What tables and columns may be called; a subclass names fewer where the system itself refuses some."""

    @pytest.fixture
    def kit(self) -> TableKit:
        """The system. A subclass gives it."""
        raise NotImplementedError("give the class a fixture `kit`")

    @pytest.mark.parametrize("form", tuple(_FORMS))
    def test_a_window_has_its_start_and_not_its_end(self, kit: TableKit, form: str) -> None:
        """Rows at the smallest step before and after both edges, and one without a time."""
        type_, format_, step = _FORMS[form]
        if form not in self.deltas or type_ not in kit.types:
            pytest.skip(f"the system has no {form}")
        instants = (_DAY - step, _DAY, _DAY + step, _NEXT - step, _NEXT, _NEXT + step)
        rows = [(at, _written(form, instant)) for at, instant in enumerate(instants)]
        selection = kit.table("edges", {"n": "long", "at": type_}, [*rows, (99, None)])
        delta = DeltaColumn("at", date_format=format_)
        window = Window(_ms(_DAY), _ms(_NEXT))
        wanted = [row for row, instant in zip(rows, instants, strict=True) if _DAY <= instant < _NEXT]
        assert sorted(read(kit.open(), selection, window, delta).column("n")) == [n for n, _ in wanted]
        for survey in [*kit.open().survey(selection, window, delta)][-1:]:
            assert survey.rows == len(wanted) or not survey.exact, "a survey counts what a run does not bring"
        both = [
            n
            for half in (
                Window(_ms(_DAY - timedelta(days=9)), _ms(_DAY)),
                Window(_ms(_DAY), _ms(_NEXT + 9 * timedelta(1))),
            )
            for n in read(kit.open(), selection, half, delta).column("n")
        ]
        assert sorted(both) == [n for n, _ in rows], "windows side by side do not have each row once"
        assert read(kit.open(), selection, Window(_ms(_DAY), _ms(_DAY)), delta).rows == []

    @pytest.mark.parametrize("type_", tuple(VALUES))
    def test_values_arrive_as_they_are(self, kit: TableKit, type_: str) -> None:
        """All values of one lake type, and NULL."""
        if type_ not in kit.types:
            pytest.skip(f"the system has no {type_}")
        values = [*VALUES[type_], None]
        selection = kit.table("of_type", {"n": "long", "v": type_}, list(enumerate(values)))
        landed = read(kit.open(), selection)
        assert [str(column.type) for column in landed.columns][1] == type_
        assert multiset(landed.rows) == multiset(enumerate(values))

    def test_splits_are_whole_disjoint_and_named_alike(self, kit: TableKit) -> None:
        """However many splits a source makes of it, each can be read alone and again, and is called the same again."""
        rows = [(n, _written("timestamp", _DAY + n * _MICROSECOND)) for n in range(500)]
        selection = kit.table("many", {"n": "long", "at": "timestamp"}, rows)
        landed = read(kit.open(), selection, ALWAYS, "at", parallel=4, times=2)
        assert sorted(landed.column("n")) == list(range(500))
        assert read(kit.open(), selection, ALWAYS, "at", parallel=4).splits.keys() == landed.splits.keys()

    def test_names_mean_nothing(self, kit: TableKit) -> None:
        """Tables and columns may be called anything; what explore() calls them selects them."""
        for number, name in enumerate(self.names):
            columns = {"n": "long", **dict.fromkeys(self.names, "string")}
            row = (number, *(f"{number} {other}" for other in self.names))
            kit.table(name, columns, [row])
            paths = [entry.path for entry in kit.open().explore(None) if entry.name.endswith(name)]
            assert paths, f"explore() does not show {name!r}"
            source = kit.open()
            found = [path for path in paths if read(source, Selection({"tableName": path})).rows == [row]]
            assert found, f"{name!r} is not what its path {paths!r} selects"

    def test_columns_are_chosen(self, kit: TableKit) -> None:
        """In the order in which they are named; an unknown one is told by name."""
        whole = kit.table("chosen", {"a": "long", "b": "long", "c": "long"}, [(1, 2, 3)])
        some = Selection({**whole.params, "columns": [{"name": "c"}, {"name": "a"}]})
        landed = read(kit.open(), some)
        assert [column.name for column in landed.columns] == ["c", "a"]
        assert landed.rows == [(3, 1)]
        with pytest.raises(SourceError, match="nosuch"):
            read(kit.open(), Selection({**whole.params, "columns": [{"name": "nosuch"}]}))

    def test_rows_are_filtered(self, kit: TableKit) -> None:
        """By the system itself, with a value that is written as an attack."""
        if not kit.filters:
            pytest.skip("the source takes no row filters")
        attack = "x' OR '1'='1"
        whole = kit.table("filtered", {"n": "long", "s": "string"}, [(1, attack), (2, "b"), (3, None)])
        for node, wanted in (
            ({"nodeType": "fnApply", "fnName": "=", "params": [_field("s"), _literal(attack)]}, [1]),
            ({"nodeType": "fnApply", "fnName": ">=", "params": [_field("n"), _literal(2)]}, [2, 3]),
        ):
            filters = {"type": "PQL", "format": "pql/json", "value": node}
            chosen = Selection({**whole.params, "filters": filters})
            assert sorted(read(kit.open(), chosen).column("n")) == wanted

    def test_it_is_looked_at_without_being_read(self, kit: TableKit) -> None:
        """check(), describe(), preview(): at most so many rows, the same columns."""
        selection = kit.table("looked_at", {"n": "long", "s": "string"}, [(n, f"row {n}") for n in range(30)])
        source = kit.open()
        source.check()
        source.validate(selection)
        columns = source.describe(selection).columns
        assert [(column.name, str(column.type)) for column in columns] == [("n", "long"), ("s", "string")]
        preview = source.preview(selection, 7)
        assert [column.name for column in preview.columns] == ["n", "s"]
        assert len(preview.rows) == 7
        assert {(n, f"row {n}") for n in range(30)} >= set(preview.rows)

    def test_what_is_not_there_is_told_by_name(self, kit: TableKit) -> None:
        """A table, and a delta column."""
        there = kit.table("there", {"n": "long", "s": "boolean" if "boolean" in kit.types else "double"}, [])
        source = kit.open()
        with pytest.raises(SourceObjectMissing, match="not_there_at_all"):
            source.describe(Selection({**there.params, "tableName": "not_there_at_all"}))
        relation = source.describe(there)
        for column in ("nosuch", "s"):
            reason = source.delta_error(relation, DeltaColumn(column))
            assert reason is not None
            assert column in reason
            with pytest.raises(SourceError, match=column):
                read(source, there, ALWAYS, column)
        assert source.delta_error(relation, DeltaColumn("n")) is None

    def test_a_read_can_be_broken_off(self, kit: TableKit) -> None:
        """From another thread, at any time; the source reads on afterwards."""
        rows = [(n, "x" * 100) for n in range(2000)]
        selection = kit.table("long_one", {"n": "long", "s": "string"}, rows)
        source = kit.open()
        slow = "SELECT count(*) FROM ({0}) a, ({0}) b, range(1000000) WHERE a.s || b.s || range = ''"
        with source.plan(selection, ALWAYS, None, parallel=1) as reading, dataplane.opened() as connection:
            split = reading.splits[0]
            source.prepare(connection, reading, split)
            reading_on = threading.Event()
            failures: list[HeadgateError] = []

            def work() -> None:
                reading_on.set()
                try:
                    connection.execute(
                        f"CREATE TEMP TABLE once AS {split.relation}; {slow.format('FROM once')}"
                    ).fetchall()
                except duckdb.Error as error:
                    failures.append(source.translate(error))

            worker = threading.Thread(target=work, daemon=True)
            worker.start()
            assert reading_on.wait(_PATIENCE)
            for _ in range(_PATIENCE * 10):
                source.interrupt(reading)
                connection.interrupt()
                worker.join(0.1)
                if not worker.is_alive():
                    break
            assert failures, "what was broken off went on"
        assert len(read(kit.open(), selection).rows) == len(rows)

    def test_no_error_holds_a_secret(self, kit: TableKit) -> None:
        """Of a connection that does not work, whatever is asked."""
        selection = kit.table("secret", {"n": "long", "at": "timestamp"}, [])
        source = kit.broken()
        if source is None:
            pytest.skip("every connection to such a system works")
        for ask in (
            source.check,
            lambda: source.explore(None),
            lambda: source.describe(selection),
            lambda: source.preview(selection, 5),
            lambda: read(source, selection, ALWAYS, "at"),
        ):
            with pytest.raises(SourceError) as raised:
                ask()
            secretless(raised.value, kit.secrets)


def _written(form: str, at: datetime) -> Any:
    """An instant as a delta column of that form holds it."""
    match form:
        case "timestamp":
            return at.replace(tzinfo=None)
        case "date":
            return at.date()
        case "text":
            return at.strftime("%Y-%m-%d %H:%M:%S")
        case "timestamptz":
            return at
    microseconds = (at - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND
    return microseconds // {"epoch_s": 1_000_000, "epoch_ms": 1000, "epoch_us": 1}[form]


def _ms(at: datetime) -> int:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def _field(name: str) -> dict[str, Any]:
    return {"nodeType": "fieldLookup", "fieldName": name}


def _literal(value: Any) -> dict[str, Any]:
    return {"nodeType": "literal", "value": value}
