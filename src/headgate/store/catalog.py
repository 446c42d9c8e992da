"""What the Catalog asks of the store: datasets and batches by its own grammar, and sums of runs."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.model.catalog import BatchStatus, CatalogQuery, Condition, Member
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.runs import Run, RunState
from headgate.store import tables
from headgate.store.scoped import ScopedStore, run_of

__all__ = ["CatalogStore", "Slice"]

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
            rows = connection.execute(_asked(select, _RESOURCES, query, connection.dialect.name)).all()
        return tuple(self._resource(row) for row in rows)

    def batches(self, query: CatalogQuery) -> tuple[Run, ...]:
        """One page of the runs that match, which are the batches."""
        select = sa.select(_RUNS).where(*self._mine(_RUNS))
        with self._transactions.read() as connection:
            rows = connection.execute(_asked(select, _RUNS, query, connection.dialect.name)).all()
        return tuple(run_of(row) for row in rows)

    def last_batches(self, dataset_ids: Sequence[str], *, succeeded: bool = False) -> dict[str, Run]:
        """The newest run of each of these datasets that has any, or the newest successful one, by dataset id."""
        chosen = [_in_status(BatchStatus.SUCCESS)] if succeeded else []
        newest = (
            sa.select(sa.func.max(_RUNS.c.seq))
            .where(*self._mine(_RUNS), _RUNS.c.dataset_id.in_(dataset_ids), *chosen)
            .group_by(_RUNS.c.dataset_id)
        )
        with self._transactions.read() as connection:
            rows = connection.execute(sa.select(_RUNS).where(_RUNS.c.seq.in_(newest))).all()
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
        value = sa.cast(_RUNS.c.metrics[figure].as_string(), sa.BigInteger) if figure else sa.literal(1)
        return self._summed(
            sa.select(_RUNS.c.dataset_id, _bucket(_RUNS.c.completed_at, span), sa.func.sum(value))
            .where(*self._mine(_RUNS), _RUNS.c.state.in_(states), _RUNS.c.dataset_id.is_not(None))
            .where(*_within(_RUNS.c.completed_at, _RUNS.c.dataset_id, span))
        )

    def new_datasets(self, span: Slice) -> list[tuple[str, int, int]]:
        """(dataset, beginning of the bucket, 1) of the datasets that were made."""
        table = _RESOURCES
        return self._summed(
            sa.select(table.c.id, _bucket(table.c.created_at, span), sa.func.count())
            .where(*self._mine(table), table.c.kind == Kind.DATASET.value)
            .where(*_within(table.c.created_at, table.c.id, span))
        )

    def _summed(self, select: sa.Select[Any]) -> list[tuple[str, int, int]]:
        grouped = select.group_by(sa.literal_column("1"), sa.literal_column("2"))
        with self._transactions.read() as connection:
            rows = connection.execute(grouped.order_by(sa.literal_column("2"), sa.literal_column("1"))).all()
        return [(dataset, int(begin), int(total or 0)) for dataset, begin, total in rows]


def _bucket(column: sa.Column[int], span: Slice) -> sa.ColumnElement[int]:
    return column - column % sa.literal_column(str(int(span.bucket)))


def _within(moment: sa.Column[int], dataset: sa.Column[str], span: Slice) -> list[sa.ColumnElement[bool]]:
    chosen = [dataset.in_(span.datasets)] if span.datasets is not None else []
    return [moment >= span.start, moment < span.end, *chosen]


def _asked(select: sa.Select[Any], table: sa.Table, query: CatalogQuery, dialect: str) -> sa.Select[Any]:
    order: list[sa.ColumnElement[Any]] = []
    for member, ascending in query.order:
        # Rows are numbered in the order they are made, and by that number they are indexed.
        column = table.c.seq if member.column == "created_at" else _column(table, member)
        place = column.asc() if ascending else column.desc()
        order.append(place if column is table.c.seq else place.nulls_last())
    return (
        select.where(*(_condition(table, condition, dialect) for condition in query.conditions))
        .order_by(*order, table.c.seq.desc())
        .offset(query.start or None)
        .limit(query.limit)
    )


def _column(table: sa.Table, member: Member) -> sa.ColumnElement[Any]:
    name, *path = member.column.split(".")
    if name == "status":
        return _status()
    if not path:
        return table.c[name]
    text = table.c[name][tuple(path)].as_string()
    return sa.cast(text, sa.BigInteger) if member.type == "number" else text


def _condition(table: sa.Table, condition: Condition, dialect: str) -> sa.ColumnElement[bool]:
    member, values = condition.member, condition.values
    if condition.op == "tag":
        return _tagged(table, str(values[0]), str(values[1]), dialect)
    if member.column == "status" and condition.op in ("in", "not in"):
        found = sa.or_(*(_in_status(BatchStatus(str(value))) for value in values))
        return found if condition.op == "in" else sa.not_(found)
    column = _column(table, member)
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
            return column.regexp_match(f"(?s){values[0]}")
        case op:
            return column.bool_op(op)(values[0])


def _any_of(column: sa.ColumnElement[Any], member: Member, values: Sequence[str | int]) -> sa.ColumnElement[bool]:
    if not member.wildcards:
        return column.in_(values)
    plain = [str(value).replace("**", "*") for value in values if not _has_wildcard(str(value))]
    patterns = [column.regexp_match(_regex(str(value))) for value in values if _has_wildcard(str(value))]
    return sa.or_(column.in_(plain), *patterns)


def _has_wildcard(text: str) -> bool:
    return "*" in text.replace("**", "")


def _regex(text: str) -> str:
    parts = [
        "\\*" if part == "**" else ".*" if part == "*" else re.escape(part) for part in re.split(r"(\*\*|\*)", text)
    ]
    return f"(?s)^{''.join(parts)}$"


def _tagged(table: sa.Table, name: str, value: str, dialect: str) -> sa.ColumnElement[bool]:
    """Whether the tag `name` has the value; `value` may end in `*`, which stands for anything."""
    if table is _RUNS:
        return _begins(_RUN_TAGS[name], value) if name in _RUN_TAGS else sa.false()
    if dialect == "sqlite":
        each = sa.func.json_each(table.c.body, f'$.tags."{name}"').table_valued("value")
    else:
        each = sa.func.json_array_elements_text(table.c.body[("tags", name)]).table_valued("value")
    return sa.select(sa.literal(1)).select_from(each).where(_begins(each.c.value, value)).correlate(table).exists()


def _begins(column: sa.ColumnElement[Any], value: str) -> sa.ColumnElement[bool]:
    if not value.endswith("*"):
        return column == value
    stem = value[:-1]
    return sa.func.substr(column, 1, len(stem)) == stem if stem else column.is_not(None)


def _in_status(status: BatchStatus) -> sa.ColumnElement[bool]:
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
