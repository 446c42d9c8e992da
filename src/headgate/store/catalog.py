"""What the Catalog asks of the store: datasets and batches by its own grammar, and sums of runs."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.model.catalog import LONGEST_MATCHED, BatchStatus, CatalogQuery, Condition, Member
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.runs import Run, RunState
from headgate.store import tables
from headgate.store.listing import Members, members
from headgate.store.rows import run_of
from headgate.store.scoped import ScopedStore

__all__ = ["CatalogStore", "Slice"]

_Sql = sa.ColumnElement[Any]
_Truth = sa.ColumnElement[bool]
_RESOURCES, _RUNS = tables.resources, tables.runs
_RUN_TAGS = {"flowId": _RUNS.c.flow_id, "flowRunId": _RUNS.c.id}
_ENDED_WELL = ("success", "partialSuccess")
_PROMOTING = (
    sa.func.coalesce(_RUNS.c.metrics[("statusSummary", "activityRefs", 0)].as_string(), "") == "promotionActivity"
)


@dataclass(frozen=True, slots=True)
class Slice:
    """A span of time, [start, end) in milliseconds, cut into `bucket`s, of some datasets or (None) of all."""

    start: int
    end: int
    bucket: int
    datasets: tuple[str, ...] | None = None


class CatalogStore(ScopedStore):
    """The store of one scope as the Catalog shows it."""

    def datasets(self, query: CatalogQuery) -> tuple[Resource, ...]:
        """One page of the datasets that match."""
        select = self._resources(Kind.DATASET)
        with self._transactions.read() as connection:
            rows = connection.execute(_asked(connection, select, _RESOURCES, query)).all()
        return tuple(self._resource(row) for row in rows)

    def batches(self, query: CatalogQuery) -> tuple[Run, ...]:
        """One page of the runs that match, which are the batches."""
        select = sa.select(_RUNS).where(*self._mine(_RUNS))
        with self._transactions.read() as connection:
            rows = connection.execute(_asked(connection, select, _RUNS, query)).all()
        return tuple(run_of(row) for row in rows)

    def last_batches(self, dataset_ids: Sequence[str], *, succeeded: bool = False) -> dict[str, Run]:
        """The newest run of each of these datasets that has any, or the newest successful one, by dataset id."""
        chosen = [_in_status(BatchStatus.SUCCESS)] if succeeded else []
        newest = (
            sa.select(_RUNS.c.seq)
            .where(*self._mine(_RUNS), _RUNS.c.dataset_id == _RESOURCES.c.id, *chosen)
            .order_by(_RUNS.c.created_at.desc(), _RUNS.c.seq.desc())
            .limit(1)
            .scalar_subquery()
        )
        of_each = sa.select(newest).where(*self._mine(_RESOURCES), _RESOURCES.c.id.in_(dataset_ids))
        with self._transactions.read() as connection:
            rows = connection.execute(sa.select(_RUNS).where(_RUNS.c.seq.in_(of_each))).all()
        return {row.dataset_id: run_of(row) for row in rows}

    def mark_reverted(self, id_: str) -> Run:
        """Note that the rows of a run have been taken out; once is enough. Raises NotFound."""
        with self._transactions.write() as connection:
            run = self._run(connection, id_, lock=True)
            if run.reverted_at is not None:
                return run
            present = now_ms()
            etag = new_etag(present)
            connection.execute(
                sa.update(_RUNS)
                .where(*self._mine(_RUNS), _RUNS.c.id == id_)
                .values(reverted_at=present, updated_at=present, etag=etag)
            )
            self._record(connection, "revert", "batches", id_, before=run.etag, after=etag)
            return self._run(connection, id_)

    def ended_runs(
        self, figure: tuple[str, ...] | None, states: Sequence[str], span: Slice
    ) -> list[tuple[str, int, int]]:
        """(dataset, beginning of the bucket, sum) of the runs that ended in one of `states`.

        `figure` is a path into a run's metrics; without one the runs are counted.
        """
        with self._transactions.read() as connection:
            json = members(connection)
            value = json.number(json.member(_RUNS.c.metrics, figure)) if figure else sa.literal(1)
            return _summed(
                connection,
                sa.select(_RUNS.c.dataset_id, _bucket(_RUNS.c.completed_at, span), sa.func.sum(value))
                .where(*self._mine(_RUNS), _RUNS.c.state.in_(states), _RUNS.c.dataset_id.is_not(None))
                .where(*_within(_RUNS.c.completed_at, _RUNS.c.dataset_id, span)),
            )

    def made_runs(self, since: int, bucket: int) -> list[tuple[int, str, int]]:
        """(beginning of the bucket, state, number) of the runs that were made since then; milliseconds."""
        begin = _RUNS.c.created_at - _RUNS.c.created_at % sa.literal_column(str(int(bucket)))
        with self._transactions.read() as connection:
            rows = connection.execute(
                sa.select(begin, _RUNS.c.state, sa.func.count())
                .where(*self._mine(_RUNS), _RUNS.c.created_at >= since)
                .group_by(sa.literal_column("1"), _RUNS.c.state)
                .order_by(sa.literal_column("1"))
            ).all()
        return [(int(row[0]), row[1], int(row[2])) for row in rows]

    def next_due(self, most: int) -> list[tuple[int, Resource]]:
        """(due time, flow) of the flows that schedules make runs of next, the earliest first; milliseconds."""
        table = tables.schedules
        select = (
            self._resources(Kind.FLOW)
            .add_columns(table.c.due_at)
            .join(table, table.c.flow_id == _RESOURCES.c.id)
            .where(*self._mine(table), table.c.due_at.is_not(None))
            .order_by(table.c.due_at, table.c.flow_id)
            .limit(most)
        )
        with self._transactions.read() as connection:
            rows = connection.execute(select).all()
        return [(int(row.due_at), self._resource(row)) for row in rows]

    def new_datasets(self, span: Slice) -> list[tuple[str, int, int]]:
        """(dataset, beginning of the bucket, 1) of the datasets that were made."""
        table = _RESOURCES
        with self._transactions.read() as connection:
            return _summed(
                connection,
                sa.select(table.c.id, _bucket(table.c.created_at, span), sa.func.count())
                .where(*self._mine(table), table.c.kind == Kind.DATASET.value)
                .where(*_within(table.c.created_at, table.c.id, span)),
            )


def _summed(connection: sa.Connection, select: sa.Select[Any]) -> list[tuple[str, int, int]]:
    dataset: _Sql = sa.literal_column("1")
    begin: _Sql = sa.literal_column("2")
    rows = connection.execute(select.group_by(dataset, begin).order_by(begin, dataset)).all()
    return [(row[0], int(row[1]), int(row[2] or 0)) for row in rows]


def _bucket(column: sa.Column[int], span: Slice) -> sa.ColumnElement[int]:
    return column - column % sa.literal_column(str(int(span.bucket)))


def _within(moment: sa.Column[int], dataset: sa.Column[str], span: Slice) -> list[_Truth]:
    chosen = [dataset.in_(span.datasets)] if span.datasets is not None else []
    return [moment >= span.start, moment < span.end, *chosen]


def _asked(connection: sa.Connection, select: sa.Select[Any], table: sa.Table, query: CatalogQuery) -> sa.Select[Any]:
    asked = _Asked(table, members(connection))
    return (
        select.where(*(asked.condition(condition) for condition in query.conditions))
        .order_by(*asked.order(query.order))
        .offset(query.start or None)
        .limit(query.limit)
    )


class _Asked:
    """The Catalog's grammar in SQL, for one table."""

    def __init__(self, table: sa.Table, json: Members) -> None:
        self._table, self._json = table, json

    def condition(self, condition: Condition) -> _Truth:
        """What `condition` says."""
        member, values = condition.member, condition.values
        if condition.op == "tag":
            return self._tagged(str(values[0]), str(values[1]))
        if member.column == "status" and condition.op in ("in", "not in"):
            found = sa.or_(*(_in_status(BatchStatus(str(value))) for value in values))
            return found if condition.op == "in" else sa.not_(found)
        column = self._column(member)
        if member.folded:
            column, values = sa.func.lower(column), tuple(str(value).lower() for value in values)
        match condition.op:
            case "exists":
                return column.is_not(None)
            case "absent":
                return column.is_(None)
            case "in":
                return _any_of(column, member, values)
            case "not in":
                return sa.or_(column.is_(None), sa.not_(_any_of(column, member, values)))
            case "~":
                return _matches(column, f"(?s){values[0]}")
            case op:
                return column.bool_op(op)(values[0])

    def order(self, order: Sequence[tuple[Member, bool]]) -> Iterator[_Sql]:
        """What orders by these members, each ascending or not, and in the end by time; no value comes last."""
        created, ascending = self._table.c.created_at, False
        for member, ascending in order:
            column = self._column(member)
            if column is created:
                break
            if member.type == "text":
                column = self._json.collated(column)
            yield (column.asc() if ascending else column.desc()).nulls_last()
        else:
            ascending = False
        yield from (column.asc() if ascending else column.desc() for column in (created, self._table.c.seq))

    def _column(self, member: Member) -> _Sql:
        name, *path = member.column.split(".")
        if name == "status":
            return _status()
        if not path:
            return self._table.c[name]
        found = self._json.member(self._table.c[name], path)
        match member.type:
            case "number":
                return self._json.number(found)
            case "text":
                return self._json.text(found)
        return sa.func.nullif(found.type, "null")

    def _tagged(self, name: str, value: str) -> _Truth:
        """Whether the tag `name` has the value; `value` may end in `*`, which stands for anything."""
        if self._table is _RUNS:
            return _begins(_RUN_TAGS[name], value) if name in _RUN_TAGS else sa.false()
        each = self._json.elements(self._json.member(self._table.c.body, ("tags", name)))
        text = self._json.text(self._json.element(each, ()))
        return sa.select(sa.literal(1)).select_from(each).where(_begins(text, value)).correlate(self._table).exists()


def _any_of(column: _Sql, member: Member, values: Sequence[str | int]) -> _Truth:
    if not member.wildcards:
        return column.in_(values)
    plain = [str(value).replace("**", "*") for value in values if not _has_wildcard(str(value))]
    patterns = [_matches(column, _regex(str(value))) for value in values if _has_wildcard(str(value))]
    return sa.or_(column.in_(plain), *patterns)


def _matches(column: _Sql, pattern: str) -> _Truth:
    """Whether a text has the pattern; one that is too long to try has none."""
    return sa.case((sa.func.length(column) <= LONGEST_MATCHED, column.regexp_match(pattern)), else_=sa.false())


def _has_wildcard(text: str) -> bool:
    return "*" in text.replace("**", "")


def _regex(text: str) -> str:
    special = {"*": ".*", "**": "\\*"}
    parts = re.split(r"(\*\*|\*)", text)
    return f"(?s)^{''.join(special.get(part, re.escape(part)) for part in parts)}$"


def _begins(column: _Sql, value: str) -> _Truth:
    if not value.endswith("*"):
        return column == value
    stem = value[:-1]
    return sa.func.substr(column, 1, len(stem)) == stem if stem else column.is_not(None)


def _in_status(status: BatchStatus) -> _Truth:
    """The runs that are batches in this status."""
    state = _RUNS.c.state
    match status:
        case BatchStatus.QUEUED:
            return state.in_((RunState.SCHEDULED.value, RunState.QUEUED.value))
        case BatchStatus.LOADING:
            return sa.and_(state == RunState.IN_PROGRESS.value, sa.not_(_PROMOTING))
        case BatchStatus.PROCESSING:
            return sa.and_(state == RunState.IN_PROGRESS.value, _PROMOTING)
        case BatchStatus.SUCCESS:
            return sa.and_(state.in_(_ENDED_WELL), _RUNS.c.reverted_at.is_(None))
        case BatchStatus.INACTIVE:
            return _RUNS.c.reverted_at.is_not(None)
        case BatchStatus.FAILED:
            return state == RunState.FAILED.value
        case BatchStatus.ABORTED:
            return state == RunState.CANCELLED.value
    return sa.false()


def _status() -> sa.ColumnElement[str]:
    return sa.case(*((_in_status(status), status.value) for status in BatchStatus), else_=_RUNS.c.state)
