"""The audit log: of a data folder for its operator, of an organisation for those who may see it."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlencode

from headgate.errors import BadFilterValue
from headgate.model.addresses import HEADGATE
from headgate.model.query import parse_limit
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.local import opened
from headgate.service.paging import Parameters, known_parameters
from headgate.store import AuditEntry, AuditFilter, Store

__all__ = ["AuditFilter", "AuditLog", "entries"]

_FILTERS = ("since", "until", "principal", "action", "resource", "sandbox")
_TOKEN = re.compile(r"(?P<at>[0-9]{1,18})-(?P<seq>[0-9]{1,18})")


class AuditLog:
    """The audit log of a deployment, as far as it is about a caller's organisation."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of the entries that match, the newest first, in the form of `entries()` with an `id`.

        `since` and `until` are times in ISO 8601 or milliseconds since the epoch, `[since, until)`; `principal`,
        `action` and `sandbox` must be equal; `resource` is an id or a kind. Raises InvalidRequest, Unavailable.
        """
        _, single = known_parameters(parameters, (*_FILTERS, "limit", "continuationToken"))
        chosen = {name: value for name in _FILTERS if (value := single.get(name, ""))}
        wanted = AuditFilter(
            since_ms=_moment("since", chosen.get("since")),
            until_ms=_moment("until", chosen.get("until")),
            org_id=caller.scope.org_id,
            principal=chosen.get("principal"),
            action=chosen.get("action"),
            resource=chosen.get("resource"),
            sandbox=chosen.get("sandbox"),
        )
        limit, token = parse_limit(single.get("limit")), single.get("continuationToken", "")
        found = self._store.audit.page(wanted, limit + 1, _place(token) if token else None)
        links = {}
        if len(found) > limit:
            last = found[limit - 1]
            more = {**chosen, "limit": str(limit), "continuationToken": f"{last.at}-{last.seq}"}
            links = {"next": {"href": f"{HEADGATE}/audit?{urlencode(more)}"}}
        return {"items": [{"id": str(each.seq), **_wire(each)} for each in found[:limit]], "_links": links}


def _moment(name: str, value: str | None) -> int | None:
    if value is None:
        return None
    if value.isascii() and value.isdigit() and len(value) <= 15:
        return int(value)
    try:
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadFilterValue(
            f"{name} is {value[:40]!r}; send a time such as 2026-03-01T12:00Z, or milliseconds since the epoch.",
            parameter=name,
        ) from error


def _place(token: str) -> tuple[int, int]:
    found = _TOKEN.fullmatch(token)
    if found is None:
        raise BadFilterValue("The continuationToken is not one that this listing gave. Begin again without it.")
    return int(found["at"]), int(found["seq"])


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
