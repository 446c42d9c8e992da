"""The overview: what goes on in the sandbox."""

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.model.permissions import Permission

__all__ = ["pages"]

pages = Pages()


@pages.get("/", needs=Permission.VIEW_SOURCES)
def overview(visit: Visit) -> Response:
    """What ran last."""
    runs = visit.service.runs.listing(visit.caller, [("limit", "20")])["items"]
    return visit.page("overview.html", runs=runs)
