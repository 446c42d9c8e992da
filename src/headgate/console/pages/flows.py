"""Flows: the list of them, and one with its runs and its calendar of windows."""

from urllib.parse import urlencode

from starlette.responses import Response

from headgate.console.catalogue import called, kinds
from headgate.console.moments import moment, written
from headgate.console.page import Pages, Visit
from headgate.console.scheduling import field_of, plan_of, schedule_of
from headgate.console.timeline import calendar_bars
from headgate.errors import BadTime, HeadgateError, InvalidRequest, NotFound
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.windows import parse_instant

__all__ = ["flow_names", "pages", "timed"]

pages = Pages()
_STATES = ("enabled", "disabled", "draft")
_SOURCE = "inheritedAttributes.sourceConnections[].connectionSpec.id"
_MOST = 1000


@pages.get("/flows", needs=Permission.VIEW_SOURCES)
def flows(visit: Visit) -> Response:
    """The flows, newest first, or those that are asked for."""
    part = visit.asked("name")
    named, more = called(visit.service.flows.listing, visit.caller, part) if part else ([], False)
    properties = [
        *([f"id=={','.join(named)}"] if part else []),
        *((f"{member}=={visit.asked(name)}") for name, member in _FILTERS.items() if visit.asked(name)),
        *timed(visit, "createdAt"),
    ]
    asked = [*(("property", each) for each in properties), *visit.listing("continuationToken"), ("limit", "50")]
    found = visit.service.flows.listing(visit.caller, asked)
    return visit.page(
        "flows/list.html",
        part="results",
        found=found,
        states=_STATES,
        specs={kind.id: kind.title for kind in kinds(visit)},
        more=more,
        targets=_targets(visit, found["items"]),
        datasets=_datasets(visit),
        connections=_connections(visit),
    )


@pages.get("/flows/{id}", needs=Permission.VIEW_SOURCES)
def flow(visit: Visit) -> Response:
    """A flow: what it reads and writes, its last runs, and which windows it has brought."""
    return _shown(visit)


@pages.post("/flows/{id}/schedule", needs=Permission.MANAGE_SOURCES)
def reschedule(visit: Visit) -> Response:
    """Have a flow run at other times; what does not fit is said beside its field."""
    id_ = visit.of("id")
    item = visit.service.flows.get(visit.caller, id_)
    try:
        change = {"op": "add", "path": "/scheduleParams", "value": schedule_of(visit.form, item["scheduleParams"])}
        visit.service.flows.patch(visit.caller, id_, [change], etag=visit.form.get("etag") or None)
    except InvalidRequest as error:
        return _shown(visit, error)
    return visit.go(f"/flows/{id_}", said="The schedule is changed.")


def _shown(visit: Visit, error: HeadgateError | None = None) -> Response:
    """The page of a flow; with an error, of the form of its schedule."""
    id_ = visit.of("id")
    item = visit.service.flows.get(visit.caller, id_)
    runs = visit.service.runs.listing_of_flow(visit.caller, id_, [("limit", "10")])["items"]
    span, wrong = [], ""
    try:
        span = [(name, str(moment(visit.asked(name), name))) for name in ("from", "to") if visit.asked(name)]
    except BadTime as unread:
        wrong = unread.detail
    windows = visit.service.windows.calendar(visit.caller, id_, span)
    return visit.page(
        "flows/flow.html",
        part="" if error is not None else "calendar",
        status=error.status if error is not None else 200,
        error=error,
        at_fault=field_of(error),
        plan=plan_of(item, visit.form if error is not None else None),
        flow=item,
        runs=runs,
        source=_resource(visit, item, "source"),
        target=_resource(visit, item, "target"),
        specs={kind.id: kind.title for kind in kinds(visit)},
        datasets=_datasets(visit),
        windows=windows,
        bars=calendar_bars(windows),
        wrong=wrong,
        first=written(parse_instant(windows["from"], "from")),
        last=written(parse_instant(windows["to"], "to")),
        over=_over,
    )


@pages.post("/flows/{id}/enable", needs=Permission.MANAGE_SOURCES)
def enable(visit: Visit) -> Response:
    """Let a flow run."""
    return _act(visit, "enable", "The flow is enabled.")


@pages.post("/flows/{id}/disable", needs=Permission.MANAGE_SOURCES)
def disable(visit: Visit) -> Response:
    """Have a flow take no runs."""
    return _act(visit, "disable", "The flow is disabled. Runs that were made already go on.")


@pages.post("/flows/{id}/delete", needs=Permission.MANAGE_SOURCES)
def delete(visit: Visit) -> Response:
    """Remove a flow; its table and its runs stay."""
    visit.service.flows.delete(visit.caller, visit.of("id"))
    return visit.go("/flows", said="The flow is deleted. Its table and its past runs stay.")


_FILTERS = {
    "state": "state",
    "source": _SOURCE,
    "connection": "inheritedAttributes.sourceConnections[].baseConnection.id",
    "last": "lastRunDetails.state",
    "by": "createdBy",
}


def flow_names(visit: Visit) -> dict[str, str]:
    """The names of the sandbox's flows, by id; of the newest thousand."""
    found = visit.service.flows.listing(visit.caller, [("property", "name"), ("limit", str(_MOST))])["items"]
    return {each["id"]: each["name"] for each in found}


def timed(visit: Visit, member: str) -> list[str]:
    """What the query parameters `since` and `until` ask of a time, as filters; `until` is included when it is a day."""
    filters = []
    if since := visit.asked("since"):
        filters.append(f"{member}>={moment(since, 'since')}")
    if until := visit.asked("until"):
        day = 86_400_000 if "T" not in until else 0
        filters.append(f"{member}<{moment(until, 'until') + day}")
    return filters


def _act(visit: Visit, op: str, said: str) -> Response:
    visit.service.flows.act(visit.caller, visit.of("id"), [("op", op)], None)
    return visit.go(f"/flows/{visit.of('id')}", said=said)


def _connections(visit: Visit) -> dict[str, str]:
    """The names of the newest connections, by id."""
    asked = [("property", "name"), ("limit", str(_MOST))]
    return {each["id"]: each["name"] for each in visit.service.connections.listing(visit.caller, asked)["items"]}


def _datasets(visit: Visit) -> dict[str, str]:
    """The names of the newest datasets, by id, for who may see them."""
    if not visit.may(Permission.VIEW_DATASETS):
        return {}
    found = visit.service.datasets.listing(visit.caller, [("limit", "100"), ("properties", "name")])
    return {id_: each["name"] for id_, each in found.items()}


def _targets(visit: Visit, items: list[Json]) -> dict[str, Json]:
    """The target connections of flows, by id."""
    ids = sorted({id_ for item in items for id_ in item.get("targetConnectionIds", ())})
    if not ids:
        return {}
    found = visit.service.target_connections.listing(
        visit.caller, [("property", f"id=={','.join(ids)}"), ("limit", str(_MOST))]
    )["items"]
    return {each["id"]: each for each in found}


def _resource(visit: Visit, item: Json, end: str) -> Json | None:
    """The source or target connection of a flow; None when it is gone, since a flow keeps a copy of what it needs."""
    collection = visit.service.source_connections if end == "source" else visit.service.target_connections
    try:
        for id_ in item.get(f"{end}ConnectionIds", ()):
            found = collection.get(visit.caller, id_)
            return dict(found)
    except NotFound:
        return None
    return None


def _over(flow_id: str, window: Json) -> str:
    """The address of the dialog for a run over a window."""
    ends = {
        "from": written(parse_instant(window["windowStartTime"], "from")),
        "to": written(parse_instant(window["windowEndTime"], "to")),
    }
    return f"/runs/new?{urlencode({'flow': flow_id, **ends})}"
