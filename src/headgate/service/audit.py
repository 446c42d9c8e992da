"""The audit log of a data folder, for its operator."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from headgate.model.runs import Json
from headgate.service.local import opened
from headgate.store import AuditEntry, AuditFilter

__all__ = ["AuditFilter", "entries"]


def entries(data: Path | None, wanted: AuditFilter, count: int | None) -> Iterator[Json]:
    """The newest `count` entries that are wanted, or all of them, oldest first.

    `{"at","org","sandbox","principal","client","requestId","action","kind","resource","etagBefore","etagAfter",
    "detail"}`,
    `at` in ISO 8601, UTC. Raises NoDeployment, Unavailable.
    """
    with opened(data) as store:
        found = store.audit.every(wanted) if count is None else iter(store.audit.newest(wanted, count))
        yield from map(_wire, found)


def _wire(entry: AuditEntry) -> Json:
    return {
        "at": datetime.fromtimestamp(entry.at / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "org": entry.org_id,
        "sandbox": entry.sandbox,
        "principal": entry.principal,
        "client": entry.client,
        "requestId": entry.request_id,
        "action": entry.action,
        "kind": entry.kind,
        "resource": entry.resource_id,
        "etagBefore": entry.etag_before,
        "etagAfter": entry.etag_after,
        "detail": entry.detail,
    }
