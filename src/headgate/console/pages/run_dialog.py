"""The dialog that makes a run: which window, by which column, and what that would do."""

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from headgate.console.moments import PRESETS, moment, preset, read_instant, written
from headgate.console.page import Pages, Visit
from headgate.console.pages.flows import flow_names
from headgate.errors import HeadgateError, InvalidRequest, WindowReversed
from headgate.model.permissions import Permission
from headgate.model.resources import now_ms
from headgate.model.runs import Json
from headgate.model.windows import parse_instant, wire_time

__all__ = ["pages"]

pages = Pages()
_MOST_GAPS = 5
_FIELDS = {"params.from": "from", "params.to": "to", "params.start": "start", "params.deltaColumn": "delta"}


@pages.get("/runs/new", needs=Permission.RUN_ON_DEMAND)
def dialog(visit: Visit) -> Response:
    """The dialog, with the window that is asked for or the likeliest one."""
    return _dialog(visit, dict(visit.request.query_params.items()))


@pages.get("/runs/new/estimate", needs=Permission.RUN_ON_DEMAND)
def estimate(visit: Visit) -> Response:
    """What the run in the dialog would do."""
    given = dict(visit.request.query_params.items())
    found, error = _estimate(visit, given)
    return visit.page("runs/estimate.html", found=found, wrong=error, all=_all(given, found), **_column(given, found))


@pages.post("/runs/new", needs=Permission.RUN_ON_DEMAND)
def start(visit: Visit) -> Response:
    """Make the run, or show the dialog again with what is wrong beside its field."""
    try:
        made = visit.service.runs.create(visit.caller, _body(visit.form), key=visit.form.get("key") or None)
    except InvalidRequest as error:
        return _dialog(visit, dict(visit.form), error)
    return visit.go(f"/runs/{made['id']}")


def _dialog(visit: Visit, given: dict[str, str], error: HeadgateError | None = None) -> Response:
    names = flow_names(visit)
    id_ = given.get("flow", "")
    if not id_:
        return visit.page(
            "runs/new.html", flow=None, flows=sorted(names.items(), key=lambda each: each[1]), given=given
        )
    flow = visit.service.flows.get(visit.caller, id_)
    if why := _closed(flow):
        return visit.page("runs/new.html", status=error.status if error is not None else 200, flow=flow, closed=why)
    calendar = visit.service.windows.calendar(visit.caller, id_, [])
    presets = _presets(calendar)
    word = given.get("preset") or ("" if given.get("from") or given.get("to") else next(iter(presets)))
    if word in presets:
        given |= {"from": written(presets[word][0]), "to": written(presets[word][1])}
    found, wrong = (None, None) if visit.asked("estimate") == "" else _estimate(visit, given)
    return visit.page(
        "runs/new.html",
        status=error.status if error is not None else 200,
        flow=flow,
        closed="",
        given=given,
        preset=word,
        presets={name: label for name, label in PRESETS.items() if name in presets},
        gaps=_gaps(calendar),
        error=error,
        field=_field_of(error),
        found=found,
        wrong=wrong,
        all=_all(given, found),
        **_column(given, found),
        delta=_delta_of(flow),
        key=f"{visit.request_id}-console",
    )


def _closed(flow: Json) -> str:
    """Why nobody can start a run of the flow by hand; empty when one can."""
    if flow["state"] != "enabled":
        return f"It is {flow['state']}, so it takes no runs."
    if flow["scheduleParams"]["frequency"] != "once":
        return (
            "It runs by its schedule, window after window, and brings again by itself what has failed. "
            "For another window, make a flow on demand that reads the same."
        )
    return ""


def _estimate(visit: Visit, given: Mapping[str, str]) -> tuple[Json | None, HeadgateError | None]:
    try:
        return visit.service.estimates.estimate(visit.caller, _body(given)), None
    except InvalidRequest as error:
        return None, error


def _body(given: Mapping[str, str]) -> Json:
    """The body of `POST /runs` that the dialog's fields stand for. Raises BadTime, WindowReversed."""
    start, end = (moment(given.get(name, ""), name) for name in ("from", "to"))
    if end < start:  # the service would tell of members that no field of the dialog is called by
        raise WindowReversed(
            f"The window would end at {written(end)} UTC, before it begins at {written(start)} UTC.",
            parameter="params.to",
        )
    params: dict[str, Any] = {"windowStartTime": wire_time(start), "windowEndTime": wire_time(end)}
    if given.get("start"):
        params["startTime"] = wire_time(moment(given["start"], "start"))
    if given.get("delta"):
        name, _, form = given["delta"].partition("\t")
        params["deltaColumn"] = {"name": name, **({"dateFormat": form} if form else {})}
    return {"flowId": given.get("flow", ""), "params": params}


def _presets(calendar: Json) -> dict[str, tuple[int, int]]:
    """The windows that can be chosen by a word, in milliseconds; the likeliest first."""
    present, found = now_ms(), {}
    since = calendar["sinceLastSuccess"]
    if since["windowStartTime"] > 0:
        found["since"] = (_ms(since["windowStartTime"]), _ms(since["windowEndTime"]))
    return found | {name: preset(name, present) for name in ("yesterday", "hour", "week")}


def _all(given: Mapping[str, str], found: Json | None) -> str:
    """The address of the dialog for all that the source has, up to just after the last; empty where it is not known."""
    told = found or {}
    column = told.get("deltaColumn") or {"least": told.get("oldest"), "greatest": told.get("newest")}
    about = column.get("dateFormat", ""), column.get("timezone", "")
    try:
        least, greatest = (read_instant(column.get(name), *about) for name in ("least", "greatest"))
    except ValueError:
        return ""
    ends = {"from": written(least // 1000 * 1000), "to": written(greatest // 1000 * 1000 + 1000)}
    delta = {"delta": given["delta"]} if given.get("delta") else {}
    return f"/runs/new?{urlencode({'flow': given.get('flow', ''), **ends, **delta})}"


def _gaps(calendar: Json) -> list[Json]:
    """The newest windows that no run has brought, with the form's values for them."""
    spans = [span for span in calendar["items"] if span["state"] in ("missing", "failed")]
    return [
        {**span, "from": written(_ms(span["windowStartTime"])), "to": written(_ms(span["windowEndTime"]))}
        for span in spans[::-1][:_MOST_GAPS]
    ]


def _ms(wire: int) -> int:
    return parse_instant(wire, "window")


def _delta_of(flow: Json) -> Json | None:
    """The delta column that an earlier run has set."""
    for each in flow.get("transformations") or ():
        if each["name"].lower() == "copy" and (found := (each.get("params") or {}).get("deltaColumn")):
            return dict(found)
    return None


def _column(given: Mapping[str, str], found: Json | None) -> Json:
    """What the select of delta columns offers, and what is chosen in it."""
    columns = [(_value(each), _label(each)) for each in (found or {}).get("deltaColumns", [])]
    chosen = given.get("delta") or _value((found or {}).get("deltaColumn", {"name": ""}))
    return {"columns": columns, "chosen": chosen}


def _value(column: Json) -> str:
    return "\t".join(part for part in (column["name"], column.get("dateFormat")) if part)


def _label(column: Json) -> str:
    return f"{column['name']} ({column['dateFormat']})" if column.get("dateFormat") else str(column["name"])


def _field_of(error: HeadgateError | None) -> str:
    """The field of the dialog that an error is about; empty when it is about none."""
    if error is None:
        return ""
    if "deltaColumn" in error.report:
        return "delta"
    return _FIELDS.get(error.report.get("field") or error.report.get("parameter", ""), "")
