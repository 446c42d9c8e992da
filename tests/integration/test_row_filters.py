"""Row filters on real tables: what is taken is what the filter says, in a preview, in a split and through a run."""

import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headgate import dataplane
from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.runs import RunState
from headgate.model.windows import DeltaColumn, Window
from headgate.outbound import Outbound
from headgate.sources import Selection, Source
from headgate.sources.roots import Roots
from headgate.sources.sql import PostgresSource, SqliteSource
from tests.deployment import POSTGRESQL, Deployment, multiset
from tests.integration.face import SQLITE
from tests.unit.test_row_filter import call, field, literal, pql

ODD = 'x"; DROP TABLE t;--%s {0} 🐘'
COLUMNS = ["id", "at", "name", "n", "amount", "ratio", "ok", "day", "clock", "stamp", "seen", ODD]
TYPES = {
    "postgresql": "int, timestamp, text, bigint, numeric(18,2), float8, boolean, date, time, timestamp, timestamptz, text",  # noqa: E501
    "sqlite": "INTEGER, TIMESTAMP, TEXT, BIGINT, DECIMAL(18,2), DOUBLE, BOOLEAN, DATE, TIME, TIMESTAMP, TIMESTAMPTZ, STRING",  # noqa: E501
}
BIG = 2**62 + 1
ROWS: list[tuple[Any, ...]] = [
    (1, "Anna", 1, "10.10", 0.1, True, "2024-01-01", "10:00:00", "2024-01-01 00:00:00", "2024-01-01 10:00:00+00:00", "a"),  # noqa: E501
    (2, "anna", BIG, "10.20", 0.1 + 0.2, False, "2024-01-31", "10:00:00.5", "2024-01-01 00:00:00.000001", "2024-01-01 12:00:00+02:00", "b"),  # noqa: E501
    (3, "O'Neill; DROP TABLE t;--", -5, "-0.01", 1e300, True, "2024-02-01", "23:59:59", "2024-02-29 10:30:00", "2023-12-31 23:59:59.999999+00:00", 'q"'),  # noqa: E501
    (4, "50%", BIG - 1, "9999999999999.99", -0.0, False, "1999-12-31", "00:00:00", "9999-12-31 23:59:59.999999", "2024-06-01 00:00:00+05:30", "%"),  # noqa: E501
    (5, "5_0", 0, "0", 5e-324, True, "9999-12-31", "09:59:59.999999", "0001-01-01 00:00:00", "2024-06-01 00:00:00+00:00", "\\"),  # noqa: E501
    (6, "żółw 🐢", 7, "1234567.89", 3.0, True, "2024-01-02", "10:00:01", "2024-01-01 10:00:00", "2024-01-01 10:00:00.000001+00:00", "é"),  # noqa: E501
    (7, "", None, None, None, None, None, None, None, None, None),
    (8, None, 8, "8.00", 8.0, False, "2024-01-08", "08:00:00", "2024-01-08 08:00:00", "2024-01-08 08:00:00+00:00", "8"),
    (9, "a\\b*?[c]", 9, "9.00", 9.0, True, "2024-01-09", "09:00:00", "2024-01-09 09:00:00", "2024-01-09 09:00:00+00:00", "9"),  # noqa: E501
]  # fmt: skip
ALL = set(range(1, 10))


def f(name: str, column: str, *values: object) -> dict[str, Any]:
    return call(name, field(column), *(literal(value) for value in values))


def said(value: object) -> str:
    """A case as its test's name shows it."""
    if not isinstance(value, dict):
        return repr(value)[:20] if isinstance(value, int | str) else ""
    if value["nodeType"] == "fnApply":
        return f"{value['fnName']}({','.join(said(part) for part in value['params'])})"[:80]
    return ascii(value.get("fieldName", value.get("value")))[:24]


CASES: list[tuple[dict[str, Any], set[int]]] = [
    (f("=", "id", 3), {3}),
    (f("==", "id", 3.0), {3}),
    (f("!=", "id", 3), ALL - {3}),
    (f(">", "id", 7.5), {8, 9}),
    (f("<=", "id", 1.5), {1}),
    (f("=", "id", 1.5), set()),
    (f("in", "id", [1, 9, 77]), {1, 9}),
    (f("=", "n", BIG), {2}),
    (f(">=", "n", BIG - 1), {2, 4}),
    (f("<", "n", 1), {3, 5}),
    (f("!=", "n", 1), ALL - {1, 7}),
    (f("isNull", "n"), {7}),
    (call("not", f("isNull", "n")), ALL - {7}),
    (call("not", f("=", "n", 1)), ALL - {1, 7}),
    (call("NOT", f("in", "n", [1, 7])), ALL - {1, 6, 7}),
    # texts
    (f("=", "name", "anna"), {2}),
    (f("=", "name", "O'Neill; DROP TABLE t;--"), {3}),
    (f("=", "name", ""), {7}),
    (f("=", "name", "żółw 🐢"), {6}),
    (f("isNull", "name"), {8}),
    (f("like", "name", "%nna"), {1, 2}),
    (f("like", "name", "A%"), {1}),
    (f("like", "name", "_nna"), {1, 2}),
    (f("like", "name", "50%"), {4}),
    (f("like", "name", r"5\_0"), {5}),
    (f("like", "name", "5_0"), {5}),
    (f("like", "name", r"%\%"), {4}),
    (f("like", "name", "____ _"), {6}),
    (f("like", "name", "%*?[c]"), {9}),
    (f("like", "name", r"a\\b%"), {9}),
    (f("like", "name", "[A]nna"), set()),
    (f("like", "name", "%"), ALL - {8}),
    (call("not", f("like", "name", "%n%")), {3, 4, 5, 6, 7, 9}),
    (f("in", "name", ["50%", "O'Neill; DROP TABLE t;--", "?"]), {3, 4}),
    (f("=", ODD, 'q"'), {3}),
    (f("in", ODD, ["%", "\\", "é"]), {4, 5, 6}),
    (f("=", ODD, "8"), {8}),
    (f("=", ODD, "8.0"), set()),
    (f("=", ODD, "09"), set()),
    # numbers
    (f("=", "amount", 10.1), {1}),
    (f("=", "amount", "10.20"), {2}),
    (f("<", "amount", 0), {3}),
    (f("<=", "amount", "0.00"), {3, 5}),
    (f("=", "amount", "9999999999999.99"), {4}),
    (f(">", "amount", "9999999999999.98"), {4}),
    (f("in", "amount", [8, "1234567.89"]), {6, 8}),
    (f("=", "ratio", 0.1), {1}),
    (f("=", "ratio", 0.3), set()),
    (f("=", "ratio", 0.1 + 0.2), {2}),
    (f("=", "ratio", 1e300), {3}),
    (f("=", "ratio", 5e-324), {5}),
    (f("=", "ratio", 0), {4}),
    (f(">=", "ratio", 3), {3, 6, 8, 9}),
    (f("=", "ok", True), {1, 3, 5, 6, 9}),
    (f("!=", "ok", True), {2, 4, 8}),
    (f("in", "ok", [False]), {2, 4, 8}),
    # days and times
    (f("=", "day", "2024-01-31"), {2}),
    (f(">", "day", "2024-01-31"), {3, 5}),
    (f("<", "day", "2000-01-01"), {4}),
    (f("=", "clock", "10:00"), {1}),
    (f(">", "clock", "10:00:00.4999"), {2, 3, 6}),
    (f("<=", "clock", "09:59:59.999999"), {4, 5, 8, 9}),
    (f("=", "stamp", "2024-01-01"), {1}),
    (f("=", "stamp", "2024-01-01T00:00:00.000001Z"), {2}),
    (f(">", "stamp", "2024-02-29 10:29:59.999999"), {3, 4}),
    (f("=", "stamp", "9999-12-31T23:59:59.9999990"), {4}),
    (f("<=", "stamp", "0001-01-01"), {5}),
    (f("=", "seen", "2024-01-01T10:00:00Z"), {1, 2}),
    (f("=", "seen", "2024-01-01 11:00:00+01"), {1, 2}),
    (f("=", "seen", "2024-01-01T05:00:00.000001-0500"), {6}),
    (f("<", "seen", "2024-01-01"), {3}),
    (f(">", "seen", "2024-05-31T18:29:59Z"), {4, 5}),
    (f("in", "seen", ["2024-05-31T18:30:00Z", "2024-06-01"]), {4, 5}),
    # groups
    (call("and", f(">", "id", 2), f("<", "id", 5), f("=", "ok", True)), {3}),
    (call("or", f("=", "id", 1), call("and", f(">", "n", 7), f("like", "name", "a%"))), {1, 2, 9}),
    (call("or", f("isNull", "name"), f("=", "n", 7)), {6, 8}),
    (call("and", f("=", "id", 1)), {1}),
]


@pytest.fixture(scope="module", params=["postgresql", "sqlite"])
def auth(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[str, dict[str, str]]]:
    """Which kind of source, and the parameters that reach its table `t` of ROWS."""
    names = ", ".join(
        f"{quoted(name)} {type_}" for name, type_ in zip(COLUMNS, TYPES[request.param].split(", "), strict=True)
    )
    rows = [(row[0], f"2024-03-0{row[0]} 12:00:00", *row[1:]) for row in ROWS]
    if request.param == "sqlite":
        path = tmp_path_factory.mktemp("filters") / "t.db"
        with closing(sqlite3.connect(path)) as database:
            database.execute(f"CREATE TABLE t ({names})")
            database.executemany(f"INSERT INTO t VALUES ({', '.join('?' * len(COLUMNS))})", rows)
            database.commit()
        yield "sqlite", {"path": str(path)}
        return
    address = request.getfixturevalue("postgres")
    with psycopg.connect(address, autocommit=True) as server:
        server.execute("CREATE SCHEMA filters")
        server.execute("SET search_path TO filters")
        server.execute(f"CREATE TABLE t ({names})".encode())
        with server.cursor() as cursor:
            cursor.executemany(f"INSERT INTO t VALUES ({', '.join(['%s'] * len(COLUMNS))})".encode(), rows)
        yield "postgresql", {"connectionString": address}
        server.execute("DROP SCHEMA filters CASCADE")


@pytest.fixture
def source(auth: tuple[str, dict[str, str]]) -> Source:
    kind, params = auth
    if kind == "sqlite":
        return SqliteSource(params, Roots((Path(params["path"]).parent,)))
    return PostgresSource(params, Outbound(Settings(), shared=False))


def table(source: Source) -> str:
    return "t" if isinstance(source, SqliteSource) else "filters.t"


def quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'


def split_ids(source: Source, selection: Selection) -> list[int]:
    """The ids that the splits of a window over everything yield."""
    found: list[int] = []
    with source.plan(selection, Window(0, 4_000_000_000_000), DeltaColumn("at"), parallel=2) as reading:
        for split in reading.splits:
            with dataplane.opened() as connection:
                source.prepare(connection, reading, split)
                found += connection.sql(split.relation).to_arrow_table().column("id").to_pylist()
    return sorted(found)


@pytest.mark.parametrize(("node", "expected"), CASES, ids=said)
def test_exactly_the_rows_that_the_filter_names(source: Source, node: dict[str, Any], expected: set[int]) -> None:
    selection = Selection({"tableName": table(source), "filters": pql(node)})
    preview = source.preview(selection, 100)
    assert sorted(row[0] for row in preview.rows) == sorted(expected)
    # PostgreSQL is sent the same text both times; a few cases show it.
    if isinstance(source, SqliteSource) or (node, expected) in CASES[::6]:
        assert split_ids(source, selection) == sorted(expected)


def test_a_column_that_is_not_selected_may_be_filtered_by(source: Source) -> None:
    params = {
        "tableName": table(source),
        "columns": [{"name": "id"}, {"name": "at"}],
        "filters": pql(f("=", "ok", False)),
    }
    assert split_ids(source, Selection(params)) == [2, 4, 8]


@pytest.mark.parametrize(
    ("node", "code"),
    [
        (f("=", "nope", 1), 1378),
        (f("=", "ID", 1), 1378),
        (f("isNull", 'id" IS NULL OR "id'), 1378),
        (f("=", "id", "1"), 1379),
        (f("=", "id", True), 1379),
        (f("=", "id", 2**63), 1379),
        (f("like", "id", "1%"), 1379),
        (f("=", "ratio", "0.1"), 1379),
        (f("=", "ratio", 10**400), 1379),
        (f("=", "amount", "1e5"), 1379),
        (f("=", "amount", "ten"), 1379),
        (f("=", "name", 5), 1379),
        (f("=", "ok", 1), 1379),
        (f("<", "ok", True), 1379),
        (f("=", "day", "2024-02-30"), 1379),
        (f("=", "day", "2024-W01-1"), 1379),
        (f("=", "day", "2024-01-01T00:00:00"), 1379),
        (f("=", "day", 20240101), 1379),
        (f("=", "clock", "24:00:00"), 1379),
        (f("=", "stamp", "2024-01-01T00:00:00+01:00"), 1379),
        (f("=", "stamp", "2024-01-01T00:00:00.0000001"), 1379),
        (f("=", "stamp", "now"), 1379),
        (f("=", "seen", "0001-01-01T00:00:00+14:00"), 1379),
        (f("in", "id", [1, "2"]), 1379),
    ],
    ids=said,
)  # fmt: skip
def test_a_filter_that_does_not_fit_the_table_is_refused(source: Source, node: dict[str, Any], code: int) -> None:
    selection = Selection({"tableName": table(source), "filters": pql(node)})
    for attempt in (source.describe, lambda chosen: source.preview(chosen, 0)):
        with pytest.raises(HeadgateError) as caught:
            attempt(selection)
        assert caught.value.code == f"CONNECTOR-{code}-400"
    assert split_ids(source, Selection({"tableName": table(source)})) == sorted(ALL)


def test_the_largest_filters(source: Source) -> None:
    for node, expected in (
        (f("in", "n", list(range(-4, 9_996))), [1, 5, 6, 8, 9]),
        (f("in", "name", ["50%", *(f"O'{at}" for at in range(9_999))]), [4]),
        (call("or", *(f("=", "seen", f"2024-01-01T10:{at // 60:02}:{at % 60:02}Z") for at in range(500))), [1, 2]),
        (deep(31), [3]),
        (f("like", "name", "%" * 1000), [1, 2, 3, 4, 5, 6, 7, 9]),
    ):
        selection = Selection({"tableName": table(source), "filters": pql(node)})
        assert sorted(row[0] for row in source.preview(selection, 100).rows) == expected
        assert split_ids(source, selection) == expected


def deep(levels: int) -> dict[str, Any]:
    node = f("=", "id", 3)
    for level in range(levels):
        node = call("and", node, f("!=", "id", 4)) if level % 2 else call("or", node, f("=", "id", 3))
    return node


_TEXTS = [row[1] for row in ROWS if row[1] is not None]
_NUMBERS = [1, BIG, BIG - 1, -5, 0, 7, 8.5]


@st.composite
def comparisons_of_rows(draw: st.DrawFn) -> dict[str, Any]:
    op = draw(st.sampled_from(["=", "!=", "in", "isNull", "<", ">=", "like"]))
    column = "name" if op == "like" else draw(st.sampled_from(["n"] if op in ("<", ">=") else ["n", "name"]))
    literals = st.sampled_from(_NUMBERS if column == "n" else _TEXTS)
    if op == "isNull":
        node = f(op, column)
    elif op == "in":
        node = f(op, column, draw(st.lists(literals, min_size=1, max_size=3)))
    elif op == "like":
        node = f(op, column, draw(st.text(st.sampled_from("a0_%n5Aé ż"), max_size=4)))
    else:
        node = f(op, column, draw(literals))
    return call("not", node) if draw(st.booleans()) else node


def groups_of(parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    return st.builds(
        lambda name, chosen: call(name, *chosen),
        st.sampled_from(["and", "or"]),
        st.lists(parts, min_size=1, max_size=3),
    )


def holds(node: dict[str, Any], row: dict[str, Any]) -> bool | None:
    """What SQL's three-valued logic makes of a filter: the oracle."""
    name, params = node["fnName"], node["params"]
    if name in ("and", "or"):
        found = [holds(part, row) for part in params]
        deciding = name == "or"
        return deciding if deciding in found else None if None in found else not deciding
    if name == "not":
        inner = holds(params[0], row)
        return None if inner is None else not inner
    value, literals = row[params[0]["fieldName"]], [part["value"] for part in params[1:]]
    if name == "isNull":
        return value is None
    if value is None:
        return None
    [wanted] = literals
    match name:
        case "=":
            return bool(value == wanted)
        case "!=":
            return bool(value != wanted)
        case "<":
            return bool(value < wanted)
        case ">=":
            return bool(value >= wanted)
        case "in":
            return value in wanted
    pattern = "".join({"%": ".*", "_": "."}.get(sign, re.escape(sign)) for sign in wanted)
    return re.fullmatch(pattern, value, re.DOTALL) is not None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(node=st.recursive(comparisons_of_rows(), groups_of, max_leaves=6))
def test_any_filter_takes_the_rows_that_its_logic_does(source: Source, node: dict[str, Any]) -> None:
    taken = [row[0] for row in ROWS if holds(node, {"name": row[1], "n": row[2]})]
    found = source.preview(Selection({"tableName": table(source), "filters": pql(node)}), 100)
    assert sorted(row[0] for row in found.rows) == taken


def test_types_that_only_postgresql_has(postgres: str) -> None:
    with psycopg.connect(postgres, autocommit=True) as server:
        server.execute("CREATE SCHEMA own")
        server.execute("CREATE TYPE own.mood AS ENUM ('sad', 'it''s ok')")
        server.execute(
            "CREATE TABLE own.t (id int, padded char(5), exact numeric, single real, u uuid, mood own.mood, "
            "o oid, small smallint, tags text[], doc jsonb, shape point, wide interval)"
        )
        server.execute(
            "INSERT INTO own.t VALUES (1, 'ab', 1e-30, 0.1, '123e4567-e89b-42d3-a456-426614174000', 'it''s ok', 7, 3, "
            "'{a,b}', '{}', '(1,2)', '1 day'), (2, 'abc', 'NaN', 2, NULL, 'sad', 8, 4, NULL, NULL, NULL, NULL)"
        )
        source = PostgresSource({"connectionString": postgres}, Outbound(Settings(), shared=False))
        try:
            for node, expected in (
                (f("=", "padded", "ab"), [1]),
                (f("like", "padded", "%b"), [1]),
                (f("=", "exact", "0." + "0" * 29 + "1"), [1]),
                (f("=", "exact", 1e-30), [1]),
                (f("=", "single", 0.1), [1]),
                (f("=", "u", "123E4567-e89b-42d3-a456-426614174000"), [1]),
                (f("=", "mood", "it's ok"), [1]),
                (f("in", "mood", ["sad", "no such mood"]), [2]),
                (f("=", "o", 8), [2]),
                (f(">", "small", 3), [2]),
                (f("isNull", "tags"), [2]),
                (f("isNull", "shape"), [2]),
            ):
                chosen = Selection({"tableName": "own.t", "filters": pql(node)})
                assert [row[0] for row in source.preview(chosen, 100).rows] == expected, node
            for node in (
                f("=", "tags", "a"),
                f("=", "doc", "{}"),
                f("=", "wide", "1 day"),
                f("=", "single", 1e39),
                f("=", "u", "x"),
            ):
                with pytest.raises(HeadgateError) as caught:
                    source.preview(Selection({"tableName": "own.t", "filters": pql(node)}), 100)
                assert caught.value.code == "CONNECTOR-1379-400", node
        finally:
            server.execute("DROP SCHEMA own CASCADE")


def test_sqlite_spellings_of_one_time_are_one_time(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("CREATE TABLE t (id INTEGER, stamp DATETIME, seen TIMESTAMPTZ, clock TIME)")
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?)",
            [
                (1, "2024-01-01", "2024-01-01T00:00:00Z", "10:00"),
                (2, "2024-01-01T00:00", "2024-01-01 02:00:00+02", "10:00:00"),
                (3, "2024-01-01 00:00:00Z", "2024-01-01 05:30:00.000000+0530", "10:00:00.0"),
                (4, "2024-01-01T00:00:00.000000000", "2023-12-31T19:00:00.0-05:00", "10:00:00.000000000"),
                (5, "2024-01-01 00:00:00+00", "2024-01-01 15:00:00+15", "10:00:00.000001"),
                (6, "2024-01-01 00:00:00.1+00:00", "2024-01-01T00:00:00.000001Z", "09:59:59.9"),
            ],
        )
        database.commit()
    source = SqliteSource({"path": str(tmp_path / "s.db")}, Roots((tmp_path,)))

    def ids(node: dict[str, Any]) -> list[int]:
        return [row[0] for row in source.preview(Selection({"tableName": "t", "filters": pql(node)}), 100).rows]

    assert ids(f("=", "stamp", "2024-01-01")) == [1, 2, 3, 4, 5]
    assert ids(f(">", "stamp", "2024-01-01")) == [6]
    assert ids(f("=", "seen", "2024-01-01")) == [1, 2, 3, 4, 5]
    assert ids(f("=", "clock", "10:00")) == [1, 2, 3, 4]
    assert ids(f("<", "clock", "10:00")) == [6]


def test_a_text_that_is_no_time_is_not_lost(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("CREATE TABLE t (id INTEGER, at TIMESTAMP, stamp DATETIME)")
        database.execute("INSERT INTO t VALUES (1, '2024-01-01', 'yesterday')")
        database.commit()
    source = SqliteSource({"path": str(tmp_path / "s.db")}, Roots((tmp_path,)))
    chosen = Selection({"tableName": "t", "filters": pql(f("=", "stamp", "2024-01-01"))})
    with pytest.raises(Exception, match="yesterday"):
        split_ids(source, chosen)


def test_too_many_digits_for_the_numbers_of_sqlite(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s.db")) as database:
        database.execute("CREATE TABLE t (id INTEGER, amount DECIMAL(30,10))")
    source = SqliteSource({"path": str(tmp_path / "s.db")}, Roots((tmp_path,)))
    with pytest.raises(HeadgateError, match="15 digits"):
        source.describe(Selection({"tableName": "t", "filters": pql(f("=", "amount", "0.1234567890123456"))}))


@pytest.fixture
def deployment(tmp_path: Path, auth: tuple[str, dict[str, str]]) -> Iterator[Deployment]:
    folder = Path(auth[1]["path"]).parent if auth[0] == "sqlite" else tmp_path
    made = Deployment(tmp_path, file_roots=(folder,)) if auth[0] == "sqlite" else Deployment(tmp_path)
    yield made
    made.close()


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (f("!=", "n", 1), [2, 3, 4, 5, 6]),
        (f("like", "name", "%_0%"), [4, 5]),
        (call("or", f("isNull", "name"), f("=", "name", "O'Neill; DROP TABLE t;--")), [3]),
        (f("<", "seen", "2024-01-01T10:00:00Z"), [3]),
        (f("in", "name", ["żółw 🐢", "50%"]), [4, 6]),
        (f("=", "id", 77), []),
    ],
    ids=said,
)
def test_a_run_brings_the_filtered_rows_of_its_window_and_no_others(
    deployment: Deployment, auth: tuple[str, dict[str, str]], node: dict[str, Any], expected: list[int]
) -> None:
    kind, params = auth
    spec, name = (SQLITE, "t") if kind == "sqlite" else (POSTGRESQL, "filters.t")
    flow = deployment.flow(spec, params, {"tableName": name, "filters": pql(node)})
    for _ in range(2):  # the second run of the window replaces the first
        run = deployment.run(flow, "2024-03-02T12:00:00", "2024-03-07T12:00:00", "at")
        assert run.state is RunState.SUCCESS, run.metrics
        assert run.metrics["recordSummary"]["outputRecordCount"] == len(expected)
    assert multiset((row[0],) for row in deployment.rows()) == multiset((id_,) for id_ in expected)


def test_a_filter_that_no_longer_fits_fails_the_run_by_name(
    deployment: Deployment, auth: tuple[str, dict[str, str]]
) -> None:
    kind, params = auth
    spec, name = (SQLITE, "t") if kind == "sqlite" else (POSTGRESQL, "filters.t")
    flow = deployment.flow(spec, params, {"tableName": name, "filters": pql(f("=", "gone", 1))})
    run = deployment.run(flow, "2024-03-02T12:00:00", "2024-03-07T12:00:00", "at")
    assert run.state is RunState.FAILED
    [error] = run.metrics["statusSummary"]["errors"]
    assert error["code"] == "CONNECTOR-1378-400"
    assert "'gone'" in error["message"]
