"""The overview: whether all is well in the sandbox, what failed, what runs now and what comes next."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.errors import NotFound
from headgate.model.permissions import Permission
from headgate.model.runs import Json

__all__ = ["pages"]

pages = Pages()

_BARS = ("failed", "cancelled", "success", "inProgress", "queued", "scheduled")  # from the ground up
_TALLEST, _GAP = 100, 1.5
_FAILED, _RUNNING, _LAST = 50, 6, 8


class Bar(NamedTuple):
    """A piece of a column of the chart, in its own units from the top."""

    state: str
    number: int
    top: float
    height: float


@pages.get("/", needs=Permission.VIEW_SOURCES)
def overview(visit: Visit) -> Response:
    """What goes on now, and what did in the last day."""
    service, caller = visit.service, visit.caller
    activity = service.insights.activity(caller)
    failed, running, last = (
        service.runs.listing(caller, [*chosen, ("limit", str(limit))])["items"]
        for chosen, limit in (
            ([("property", "state==failed")], _FAILED),
            ([("property", "state==inProgress")], _RUNNING),
            ([], _LAST),
        )
    )
    since = activity["hours"][0]["start"]
    workers = service.workers.listing(caller, [])["items"] if visit.may(Permission.VIEW_MONITORING) else None
    return visit.page(
        "overview.html",
        part="now",
        columns=_columns(activity["hours"]),
        totals={state: sum(hour[state] for hour in activity["hours"]) for state in _BARS},
        failed=_by_flow(run for run in failed if run["createdAt"] >= since),
        running=running,
        last=last,
        next=activity["next"],
        queue=service.workers.queue(caller),
        workers=workers,
        names=_names(visit, [*failed, *running, *last]),
        fresh=not last and not service.flows.listing(caller, [("limit", "1")])["items"],
    )


def _columns(hours: Sequence[Json]) -> list[tuple[int, list[Bar]]]:
    """The chart: the beginning of each hour, and its pieces."""
    most = max(sum(hour[state] for state in _BARS) for hour in hours) or 1
    return [(hour["start"], _pieces(hour, most)) for hour in hours]


def _pieces(hour: Json, most: int) -> list[Bar]:
    pieces, top = [], float(_TALLEST)
    for state in _BARS:
        if number := hour[state]:
            height = max(number / most * _TALLEST, 2.5)  # one of a thousand is seen, too
            top -= height
            pieces.append(Bar(state, number, round(max(top, 0), 2), round(max(height - _GAP, 1), 2)))
    return pieces


def _by_flow(runs: Iterable[Json]) -> list[tuple[Json, int]]:
    """The newest run of each flow, and how many there are of it."""
    found: dict[str, tuple[Json, int]] = {}
    for run in runs:
        newest, number = found.get(run["flowId"], (run, 0))
        found[run["flowId"]] = (newest, number + 1)
    return list(found.values())


def _names(visit: Visit, runs: Sequence[Json]) -> dict[str, str]:
    """The names of the flows of some runs; of one that was deleted, the beginning of its id."""
    names = {}
    for id_ in {run["flowId"] for run in runs}:
        try:
            names[id_] = str(visit.service.flows.get(visit.caller, id_)["name"])
        except NotFound:
            names[id_] = f"deleted flow {id_[:8]}"
    return names
