"""Listings in SQL: filters, order and pages of the resources and runs tables.

What the two databases write differently, the members of JSON columns, is in `_Sqlite` and `_Postgresql`.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Generic, NamedTuple, TypeVar

import sqlalchemy as sa

from headgate.model.query import Field, Filter, Place, Query, Value
from headgate.store import tables

__all__ = ["Members", "Page", "list_page", "members", "newest_run"]

T = TypeVar("T")
_Sql = sa.ColumnElement[Any]
_Truth = sa.ColumnElement[bool]
_SCOPE = ("org_id", "sandbox_id")
_LITTLE = 5000
_DAY = 86_400_000
_LAST_RUN = "last_run"  # the column of flows that their newest runs hold


@dataclass(frozen=True, slots=True)
class Page(Generic[T]):
    """One page of a listing. `next` is the place the following page begins after, None on the last."""

    items: tuple[T, ...]
    next: Place | None
    total: int | None = None


def list_page(
    connection: sa.Connection, table: sa.Table, where: Sequence[_Truth], query: Query, read: Callable[[Any], T]
) -> Page[T]:
    """One page of the rows of `table` for which `where` and the query's filters hold, each of them `read`."""
    listing = _Listing(table, members(connection))
    if query.count:
        conditions = [*where, *(listing.condition(filter_) for filter_ in query.filters)]
        total = connection.execute(sa.select(sa.func.count()).select_from(table).where(*conditions)).scalar()
        return Page((), None, total)
    conditions = [*where, *listing.conditions(connection, where, query)]
    rows: list[Any] = []
    for stretch in listing.stretches(query):
        chosen, missing = stretch.where(*conditions), query.limit + 1 - len(rows)
        rows += connection.execute(listing.whole(chosen, missing, ascending=query.order.ascending)).all()
        if len(rows) > query.limit:
            break
    items = tuple(read(row) for row in rows[: query.limit])
    last = rows[query.limit - 1] if len(rows) > query.limit else None
    return Page(items, None if last is None else (_plain(last.place), last.seq))


def members(connection: sa.Connection) -> "Members":
    """How the connection's database reads members of JSON columns."""
    return _Sqlite() if connection.dialect.name == "sqlite" else _Postgresql()


def newest_run(column: str) -> sa.ScalarSelect[Any]:
    """A column of the newest run of the flow that a row of the resources table holds."""
    flows, runs = tables.resources, tables.runs.alias("newest")
    return (
        sa.select(runs.c[column])
        .where(runs.c.flow_id == flows.c.id, *(runs.c[name] == flows.c[name] for name in _SCOPE))
        .order_by(runs.c.created_at.desc(), runs.c.seq.desc())
        .limit(1)
        .correlate(flows)
        .scalar_subquery()
    )


class _Listing:
    """How one table is filtered and ordered."""

    def __init__(self, table: sa.Table, json: "Members") -> None:
        self._table, self._json = table, json

    def condition(self, filter_: Filter, *, hidden: bool = False) -> _Truth:
        """What `filter_` says; `hidden` from the indexes and the statistics of its column."""
        field = filter_.field
        if field.always is not None:
            holds = (str(field.always).lower() in filter_.values) == (filter_.op == "==")
            return sa.true() if holds else sa.false()
        if (column := self._column(field)) is not None:
            column = sa.UnaryExpression(column, operator=sa.sql.operators.custom_op("+")) if hidden else column
            return _compared(column, filter_.op, filter_.values, folded=field.folded)
        root, *names = field.column.split(".")
        if root.endswith("[]"):
            root, names = root.removesuffix("[]"), ["[]", *names]
        document = self._table.c[root]
        found = self._any(lambda below: self._json.member(document, below), names, filter_)
        return ~sa.func.coalesce(found, sa.false()) if filter_.op == "!=" else found

    def conditions(self, connection: sa.Connection, where: Sequence[_Truth], query: Query) -> Iterator[_Truth]:
        """What the filters say, written so that the index the database takes is the one that is quick.

        It does not know how filters and order go together. What is found by an index of another order than the
        pages' is looked up there when it is little; when it is much, some of it soon comes up in the order of
        the pages, if these begin where it can begin.
        """
        hidden = {"updated_at"}  # its statistics alone would have PostgreSQL read the table: no index has it
        for columns in (("started_at",), ("completed_at",), ("flow_id", "state")):
            own = [each for each in query.filters if each.field.column in columns and each.op != "!="]
            if {each.field.column for each in own} != set(columns) or query.order.field.column in columns:
                continue
            probe = sa.select(self._table.c.seq).where(*(self.condition(filter_) for filter_ in own))
            if columns[0] != "flow_id":  # a flow's id is of one scope, and the index has no other column
                probe = probe.where(*where)
            found = connection.execute(probe.limit(_LITTLE + 1)).scalars().all()
            if len(found) <= _LITTLE:
                yield self._table.c.seq.in_(sa.bindparam(columns[0], found, expanding=True, literal_execute=True))
            hidden |= {columns[0]} - {"flow_id"}
        for filter_ in query.filters:
            yield self.condition(filter_, hidden=filter_.field.column in hidden)
        if query.order.field.column == "created_at" and (latest := self._latest(connection, where, query)) is not None:
            yield self._table.c.created_at <= _bound(latest)

    def _latest(self, connection: sa.Connection, where: Sequence[_Truth], query: Query) -> int | None:
        """When what the filters find was made at the latest, by what they say of later times.

        Nothing happens to an entry before it is made, but for clocks that differ by less than a day.
        """
        uppers = [
            filter_
            for filter_ in query.filters
            if filter_.field.column in ("started_at", "completed_at", "updated_at") and filter_.op in ("==", "<", "<=")
        ]
        if not uppers:
            return None
        if any(filter_.field.column != "updated_at" for filter_ in uppers):
            # Counted, since with LIMIT 1 PostgreSQL trusts to meet one soon and reads the table for it.
            early = sa.select(sa.func.count()).select_from(self._table).where(*where, sa.text(tables.EARLY))
            if connection.execute(early).scalar():
                return None
        return min(int(max(filter_.numbers)) for filter_ in uppers) + _DAY

    def stretches(self, query: Query) -> Iterator[sa.Select[Any]]:
        """The numbers of the query's entries in order, without the filters: one select after the other.

        What has no value comes last. Were it in one select with the rest, no index would find the place where
        the previous page ended.
        """
        key, seq, after = self._key(query.order.field), self._table.c.seq, query.after
        direction = sa.asc if query.order.ascending else sa.desc
        chosen = sa.select(seq, key.label("place"))
        if query.offset:
            yield chosen.order_by(key.is_(None), direction(key), direction(seq)).offset(query.offset)
            return
        named = any(each.field == query.order.field and each.op != "!=" for each in query.filters)
        nullable = getattr(key, "nullable", True)
        parts = [False, True] if nullable and not named else [False]  # whether the key is NULL in this part
        if after is not None and after[0] is None:
            parts = [True]
        for empty in parts:
            stretch = chosen.order_by(*(direction(part) for part in ([seq] if empty else [key, seq])))
            if nullable:
                stretch = stretch.where(key.is_(None) if empty else key.is_not(None))
            if after is not None and (after[0] is None) == empty:
                ended, place = (seq, _bound(after[1])) if empty else (sa.tuple_(key, seq), _place(after))
                stretch = stretch.where(ended > place if query.order.ascending else ended < place)
            yield stretch

    def whole(self, stretch: sa.Select[Any], limit: int, *, ascending: bool) -> sa.Select[Any]:
        """The rows of the first `limit` of a stretch: where it must be sorted, only numbers are."""
        first = stretch.limit(limit).subquery()
        direction = sa.asc if ascending else sa.desc
        return (
            sa.select(self._table, first.c.place)
            .join(first, first.c.seq == self._table.c.seq)
            .order_by(first.c.place.is_(None), direction(first.c.place), direction(first.c.seq))
        )

    def _key(self, field: Field) -> _Sql:
        column = self._column(field)
        if column is None:
            root, *names = field.column.split(".")
            member = self._json.member(self._table.c[root], names)
            column = self._json.number(member) if field.number else self._json.text(member)
        return column if field.number else self._json.collated(column)

    def _column(self, field: Field) -> _Sql | None:
        """The column that holds a field; None for one that a JSON column holds."""
        root, *names = field.column.split(".")
        if root == _LAST_RUN:
            return newest_run(names[0])
        column = self._table.c[root.removesuffix("[]")]
        return None if isinstance(column.type, sa.JSON) else column

    def _any(self, member: Callable[[Sequence[str]], "_Member"], names: Sequence[str], filter_: Filter) -> _Truth:
        """Whether `filter_` holds for any of the values that `names` lead to from where `member` begins."""
        at = next((number for number, name in enumerate(names) if name.endswith("[]")), None)
        if at is None:
            return self._judge(member(names), filter_)
        array = member([name for name in (*names[:at], names[at].removesuffix("[]")) if name])
        elements = self._json.elements(array)
        inner = self._any(lambda below: self._json.element(elements, below), names[at + 1 :], filter_)
        return sa.select(sa.literal(1)).select_from(elements).where(inner).exists()

    def _judge(self, member: "_Member", filter_: Filter) -> _Truth:
        field, text, number = filter_.field, self._json.text(member), self._json.number(member)
        if filter_.op not in ("==", "!="):
            quantity = self._json.quantity(member) if field.open else number
            return _compared(quantity, filter_.op, filter_.values)
        if field.number:
            return number.in_([_bound(value) for value in filter_.values])
        if field.folded:
            return sa.func.lower(text).in_([value.lower() for value in filter_.texts])
        found = text.in_([_bound(value) for value in filter_.texts])
        return sa.or_(found, number.in_([_bound(value) for value in filter_.numbers])) if filter_.numbers else found


class _Member(NamedTuple):
    """One place in a JSON document: its type by the database's name for it, and what stands there."""

    type: _Sql
    value: _Sql


class _Sqlite:
    """Members of JSON on SQLite, where they are values of SQL's own types."""

    def member(self, document: _Sql, names: Sequence[str]) -> _Member:
        path = "$" + "".join(f'."{name}"' for name in names)
        return _Member(sa.func.json_type(document, path), sa.func.json_extract(document, path))

    def elements(self, array: _Member) -> Any:
        whole = sa.case((array.type == "array", array.value), else_="[]")
        return sa.func.json_each(whole).table_valued("value", "type")

    def element(self, elements: Any, names: Sequence[str]) -> _Member:
        each = _Member(elements.c.type, elements.c.value)
        return self.member(sa.case((each.type == "object", each.value)), names) if names else each

    def text(self, member: _Member) -> _Sql:
        truths = [(member.type == word, sa.literal(word)) for word in ("true", "false")]
        return sa.case((member.type == "text", member.value), *truths)

    def number(self, member: _Member) -> _Sql:
        return sa.case((member.type.in_(("integer", "real")), member.value))

    def quantity(self, member: _Member) -> _Sql:
        digits = sa.and_(
            member.type == "text",
            sa.func.length(member.value).between(1, 18),
            member.value.op("NOT GLOB")("*[^0-9]*"),
        )
        return sa.func.coalesce(self.number(member), sa.case((digits, sa.cast(member.value, sa.BigInteger))))

    def collated(self, text: _Sql) -> _Sql:
        return text


class _Postgresql:
    """Members of JSON on PostgreSQL, where they are JSON themselves."""

    def member(self, document: _Sql, names: Sequence[str]) -> _Member:
        value = sa.func.json_extract_path(document, *names) if names else document
        return _Member(sa.func.json_typeof(value), value)

    def elements(self, array: _Member) -> Any:
        whole = sa.case((array.type == "array", array.value), else_=sa.literal_column("CAST('[]' AS json)"))
        return sa.func.json_array_elements(whole).table_valued("value")

    def element(self, elements: Any, names: Sequence[str]) -> _Member:
        return self.member(elements.c.value, names)

    def text(self, member: _Member) -> _Sql:
        return sa.case((member.type.in_(("string", "boolean")), self._plain(member)))

    def number(self, member: _Member) -> _Sql:
        return sa.case((member.type == "number", sa.cast(self._plain(member), sa.Numeric)))

    def quantity(self, member: _Member) -> _Sql:
        digits = sa.and_(member.type == "string", self._plain(member).op("~")("^[0-9]{1,18}$"))
        return sa.case((sa.or_(member.type == "number", digits), sa.cast(self._plain(member), sa.Numeric)))

    def collated(self, text: _Sql) -> _Sql:
        return sa.collate(text, "C")  # as SQLite: by code points

    def _plain(self, member: _Member) -> _Sql:
        return member.value.op("#>>", return_type=sa.Text())(sa.literal_column("CAST('{}' AS text[])"))


Members = _Sqlite | _Postgresql


def _compared(value: _Sql, op: str, values: Sequence[Value], *, folded: bool = False) -> _Truth:
    if folded:
        value, values = sa.func.lower(value), [str(text).lower() for text in values]
    bound = [_bound(wanted) for wanted in values]
    match op:
        case "==":
            return value.in_(bound) if len(bound) > 1 else value == bound[0]
        case "!=":
            return sa.or_(value.is_(None), value.not_in(bound))
        case ">":
            return value > bound[0]
        case ">=":
            return value >= bound[0]
        case "<":
            return value < bound[0]
        case _:
            return value <= bound[0]


def _bound(value: Value | None) -> _Sql:
    if isinstance(value, str):
        return sa.literal(str(value), sa.Text())
    return sa.literal(value, sa.Double() if isinstance(value, float) else sa.BigInteger())


def _place(place: Place) -> Any:
    return sa.tuple_(_bound(place[0]), _bound(place[1]))


def _plain(value: Any) -> Any:
    """A value of SQL as JSON can hold it."""
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    return value
