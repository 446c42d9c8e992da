"""Deliveries: what webhooks are still to be told, written in the transaction that it tells of.

A worker claims a delivery for a while before it sends it, so that no other one sends it too. Whoever dies over it loses
the claim, and it is sent again: once at least. Times are judged by the database's clock.
"""

import uuid
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from headgate.model.query import Query
from headgate.model.resources import Kind, now_ms
from headgate.model.scope import Scope
from headgate.model.webhooks import Delivery, DeliveryState, EventCode, codes_of, event
from headgate.store import tables
from headgate.store.listing import Page, list_page
from headgate.store.rows import run_of
from headgate.store.transactions import Transactions, now

__all__ = ["ClaimedDelivery", "Deliveries", "announce"]

_TABLE = tables.deliveries
_HOOKS = tables.resources
_PENDING = _TABLE.c.state == DeliveryState.PENDING.value
_LONGEST_REASON = 500
_BATCH = 1000


@dataclass(frozen=True, slots=True)
class ClaimedDelivery:
    """A delivery that is ours to send, and where to."""

    delivery: Delivery
    url: str


def announce(connection: sa.Connection, scope: Scope, run_id: str) -> None:
    """Have the webhooks of the sandbox told what there is to tell of the run, as this transaction leaves it."""
    # Held until the end: one that is deleted meanwhile must not make the run's own change fail.
    hooks = connection.execute(
        sa.select(_HOOKS.c.id, _HOOKS.c.body)
        .where(
            _HOOKS.c.org_id == scope.org_id,
            _HOOKS.c.sandbox_id == scope.sandbox_id,
            _HOOKS.c.kind == Kind.WEBHOOK.value,
        )
        .with_for_update(read=True, key_share=True)
    ).all()
    if not hooks:
        return
    run = run_of(connection.execute(sa.select(tables.runs).where(tables.runs.c.id == run_id)).one())
    present = now_ms()
    for code in codes_of(run):
        payload = event(run, code)
        rows = [
            {
                "id": str(uuid.uuid4()),
                "org_id": scope.org_id,
                "sandbox_id": scope.sandbox_id,
                "webhook_id": hook.id,
                "event_id": payload["event_id"],
                "event_code": code.value,
                "run_id": run_id,
                "payload": payload,
                "state": DeliveryState.PENDING.value,
                "tries": 0,
                "due_at": now(),
                "created_at": present,
                "updated_at": present,
            }
            for hook in hooks
            if code in hook.body["eventTypes"]
        ]
        if rows:
            connection.execute(sa.insert(_TABLE).values(rows))


class Deliveries:
    """The deliveries of a deployment. Every method may raise Unavailable."""

    def __init__(self, transactions: Transactions) -> None:
        self._transactions = transactions

    def of(self, scope: Scope, webhook_id: str, query: Query) -> Page[Delivery]:
        """One page of the deliveries to one webhook of `scope`."""
        mine = (
            _TABLE.c.org_id == scope.org_id,
            _TABLE.c.sandbox_id == scope.sandbox_id,
            _TABLE.c.webhook_id == webhook_id,
        )
        with self._transactions.read() as connection:
            return list_page(connection, _TABLE, mine, query, lambda row: _delivery(row, scope))

    def due(self) -> bool:
        """Whether a webhook is to be called."""
        with self._transactions.read() as connection:
            return connection.execute(_due()).first() is not None

    def claim(self, *, lease: float) -> ClaimedDelivery | None:
        """Take the delivery that is due longest for `lease` seconds. None when none is due.

        A webhook gets one delivery at a time, so that one that is slow to answer holds up its own alone.
        """
        if not self.due():
            return None
        with self._transactions.write() as connection:
            return _claim(connection, lease)

    def delivered(self, delivery: Delivery, status: int) -> None:
        """Note that the webhook has taken it."""
        self._end_try(delivery, state=DeliveryState.DELIVERED.value, status=status, reason=None)

    def failed(self, delivery: Delivery, reason: str, *, status: int | None, pause: float | None) -> None:
        """Note that a try failed; the next one is due in `pause` seconds, and with None there is none."""
        told = {"status": status, "reason": reason[:_LONGEST_REASON]}
        if pause is None:
            self._end_try(delivery, state=DeliveryState.GIVEN_UP.value, **told)
        else:
            self._end_try(delivery, due_at=now() + round(pause * 1000), **told)

    def forget(self, before_ms: int) -> int:
        """Delete those that ended before a time; how many."""
        gone = 0
        old = sa.select(_TABLE.c.seq).where(~_PENDING, _TABLE.c.updated_at < before_ms).limit(_BATCH)
        while True:  # in short transactions
            with self._transactions.write() as connection:
                deleted = connection.execute(sa.delete(_TABLE).where(_TABLE.c.seq.in_(old))).rowcount
            gone += deleted
            if deleted < _BATCH:
                return gone

    def _end_try(self, delivery: Delivery, **changes: Any) -> None:
        # Only if it is still ours: another worker may have taken it over, or the webhook is gone.
        mine = (_TABLE.c.seq == delivery.seq, _PENDING, _TABLE.c.tries == delivery.tries)
        with self._transactions.write() as connection:
            connection.execute(
                sa.update(_TABLE).where(*mine).values(claimed_until=None, updated_at=now_ms(), **changes)
            )


def _claim(connection: sa.Connection, lease: float) -> ClaimedDelivery | None:
    both = _due().with_for_update(of=(_TABLE, _HOOKS), key_share=True, skip_locked=True)
    row = connection.execute(both).first()
    if row is None:
        return None
    taken = connection.execute(
        sa.update(_TABLE)
        .where(_TABLE.c.seq == row.seq, ~_busy())  # again: another may have claimed one just before we had the webhook
        .values(tries=row.tries + 1, claimed_until=now() + round(lease * 1000), updated_at=now_ms())
        .returning(_TABLE)
    ).first()
    if taken is None:
        return None
    return ClaimedDelivery(_delivery(taken, Scope(row.org_id, row.sandbox_id, "")), row.hook["url"])


def _busy() -> sa.Exists:
    """Whether a delivery's webhook is being sent one."""
    other = _TABLE.alias("other")
    return sa.exists().where(
        other.c.webhook_id == _TABLE.c.webhook_id,
        other.c.state == DeliveryState.PENDING.value,
        other.c.claimed_until >= now(),
    )


def _due() -> sa.Select[Any]:
    return (
        sa.select(_TABLE, _HOOKS.c.body.label("hook"))
        .join(_HOOKS, _HOOKS.c.id == _TABLE.c.webhook_id)
        .where(_PENDING, _TABLE.c.due_at <= now(), ~_busy())
        .order_by(_TABLE.c.due_at, _TABLE.c.seq)
        .limit(1)
    )


def _delivery(row: Any, scope: Scope) -> Delivery:
    return Delivery(
        seq=row.seq,
        id=row.id,
        scope=scope,
        webhook_id=row.webhook_id,
        event_id=row.event_id,
        code=EventCode(row.event_code),
        run_id=row.run_id,
        payload=row.payload,
        state=DeliveryState(row.state),
        tries=row.tries,
        due_at=row.due_at,
        created_at=row.created_at,
        updated_at=row.updated_at,
        status=row.status,
        reason=row.reason,
    )
