"""The audit log: who did what, and who was refused what."""

import time
from datetime import datetime

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.model.permissions import Permission

__all__ = ["pages"]

pages = Pages()
_HOUR = 3600
_SPANS = (("1h", "Last hour", _HOUR), ("24h", "Last 24 hours", 24 * _HOUR), ("7d", "Last 7 days", 168 * _HOUR))
_ACTIONS = ("create", "update", "delete", "cancel", "grant", "revoke", "rotate", "query", "denied")


@pages.get("/audit", needs=Permission.VIEW_AUDIT, in_org=True)
def audit(visit: Visit) -> Response:
    """The entries that match, newest first."""
    wanted = visit.listing("principal", "action", "resource", "sandbox", "since", "until", "continuationToken")
    seconds = {name: length for name, _, length in _SPANS}.get(visit.asked("within"))
    if seconds is not None:
        wanted.append(("since", str(int((time.time() - seconds) * 1000))))
    found = visit.service.audit.listing(visit.caller, [*wanted, ("limit", "100")])
    for entry in found["items"]:
        entry["at"] = datetime.fromisoformat(entry["at"])
    return visit.page(
        "audit/audit.html",
        part="results",
        found=found,
        spans=[("", "Any time"), *((name, label) for name, label, _ in _SPANS)],
        actions=[("", "Any action"), *((name, name) for name in _ACTIONS)],
        places=[("", "Any sandbox"), *((one["name"], one["name"]) for one in visit.sandboxes)],
    )
