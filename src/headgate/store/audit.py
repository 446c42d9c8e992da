"""The audit log, read. It is written by what it tells of, in the same transaction."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.store import tables
from headgate.store.transactions import Transactions

__all__ = ["Audit", "AuditEntry", "AuditFilter"]

_BATCH = 1000
_TABLE = tables.audit


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One thing that somebody did, or was refused. `at` is milliseconds since the epoch.

    `sandbox` is empty for what concerns the organisation. Of a refusal, `action` is `denied`, `kind` the permission
    that was lacking and `resource_id` what was asked for. `detail` is the text of a query.
    """

    seq: int
    at: int
    org_id: str
    sandbox: str
    principal: str
    client: str
    request_id: str
    action: str
    kind: str
    resource_id: str
    etag_before: str | None
    etag_after: str | None
    detail: str | None = None


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries are wanted; what is None does not matter. `resource` is an id, or a kind.

    The span is [since, until). `sandbox` is a name, empty for what concerns the organisation.
    """

    since_ms: int | None = None
    until_ms: int | None = None
    org_id: str | None = None
    principal: str | None = None
    action: str | None = None
    resource: str | None = None
    sandbox: str | None = None


class Audit:
    """The log of a deployment. The operator's: it looks across organisations."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def newest(self, wanted: AuditFilter, count: int) -> list[AuditEntry]:
        """The newest `count` entries, oldest first. Raises Unavailable."""
        chosen = _select(wanted).order_by(_TABLE.c.seq.desc()).limit(count)
        with self._transactions.read() as connection:
            rows = connection.execute(chosen).all()
        return [_entry(row) for row in reversed(rows)]

    def page(self, wanted: AuditFilter, count: int, after: tuple[int, int] | None) -> list[AuditEntry]:
        """At most `count` entries, the newest first, those after the place `(at, seq)`. Raises Unavailable."""
        chosen = _select(wanted).order_by(_TABLE.c.at.desc(), _TABLE.c.seq.desc()).limit(count)
        if after is not None:
            place = sa.tuple_(sa.literal(after[0], sa.BigInteger), sa.literal(after[1], sa.BigInteger))
            chosen = chosen.where(sa.tuple_(_TABLE.c.at, _TABLE.c.seq) < place)
        with self._transactions.read() as connection:
            return [_entry(row) for row in connection.execute(chosen)]

    def every(self, wanted: AuditFilter) -> Iterator[AuditEntry]:
        """Every entry, oldest first, read little by little. Raises Unavailable."""
        last = 0
        while True:
            chosen = _select(wanted).where(_TABLE.c.seq > last).order_by(_TABLE.c.seq).limit(_BATCH)
            with self._transactions.read() as connection:
                rows = connection.execute(chosen).all()
            yield from map(_entry, rows)
            if len(rows) < _BATCH:
                return
            last = rows[-1].seq

    def forget(self, before_ms: int) -> int:
        """Delete the entries older than a time; how many. Raises Unavailable."""
        gone = 0
        while True:  # from the oldest on, in short transactions
            oldest = sa.select(_TABLE.c.seq, _TABLE.c.at).order_by(_TABLE.c.seq).limit(_BATCH)
            with self._transactions.write() as connection:
                old = [row.seq for row in connection.execute(oldest) if row.at < before_ms]
                if old:
                    connection.execute(sa.delete(_TABLE).where(_TABLE.c.seq.in_(old)))
            gone += len(old)
            if len(old) < _BATCH:
                return gone


def _select(wanted: AuditFilter) -> sa.Select[Any]:
    sandboxes = tables.sandboxes
    chosen = sa.select(_TABLE, sandboxes.c.name.label("sandbox")).outerjoin(
        sandboxes, sandboxes.c.id == _TABLE.c.sandbox_id
    )
    if wanted.since_ms is not None:
        chosen = chosen.where(_TABLE.c.at >= wanted.since_ms)
    if wanted.until_ms is not None:
        chosen = chosen.where(_TABLE.c.at < wanted.until_ms)
    if wanted.sandbox is not None:
        chosen = chosen.where(sa.func.coalesce(sandboxes.c.name, _TABLE.c.sandbox_id) == wanted.sandbox)
    for column, value in (("org_id", wanted.org_id), ("principal", wanted.principal), ("action", wanted.action)):
        if value is not None:
            chosen = chosen.where(_TABLE.c[column] == value)
    if wanted.resource is not None:
        chosen = chosen.where(sa.or_(_TABLE.c.resource_id == wanted.resource, _TABLE.c.kind == wanted.resource))
    return chosen


def _entry(row: Any) -> AuditEntry:
    found = row._mapping
    return AuditEntry(
        **{name: found[name] for name in AuditEntry.__slots__ if name != "sandbox"},
        sandbox=found["sandbox"] or found["sandbox_id"],
    )
