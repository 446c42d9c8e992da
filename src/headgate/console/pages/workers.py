"""Workers and the queue: who works, what waits, and for how long."""

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.model.permissions import Permission

__all__ = ["pages"]

pages = Pages()


@pages.get("/workers", needs=Permission.VIEW_MONITORING)
def workers(visit: Visit) -> Response:
    """The workers that are there, and the queue of the sandbox where the visitor may see its runs."""
    return visit.page(
        "workers/workers.html",
        part="results",
        workers=visit.service.workers.listing(visit.caller, visit.listing("limit", "continuationToken")),
        queue=visit.service.workers.queue(visit.caller) if visit.may(Permission.VIEW_SOURCES) else None,
    )
