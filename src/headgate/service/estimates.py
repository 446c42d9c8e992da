"""What a run would do, before it is made."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from headgate.config import Settings
from headgate.errors import BadRunParams, HeadgateError
from headgate.model.resources import Resource, WriteMode, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Caller
from headgate.model.windows import DeltaColumn, Window
from headgate.service.bodies import shown
from headgate.service.delta_columns import delta_columns
from headgate.service.runs import (
    compare_delta,
    delta_asked,
    delta_of,
    flow_asked,
    given_params,
    see_runnable,
    since_last,
    window_asked,
)
from headgate.service.specs import connection_spec
from headgate.sources import Relation, Selection, Source, Survey, open_source
from headgate.store import ScopedStore, Store
from headgate.telemetry import redact

__all__ = ["Estimates"]

_SECONDS = 10.0
_ROWS = 20  # that show whether texts and integers are times
_MOST_RUNS = 50


@dataclass(slots=True)
class _Found:
    """What the source has told so far; `delta` is the column that was asked for, or the likeliest one."""

    delta: DeltaColumn | None
    candidates: list[Json] | None = None
    survey: Survey = field(default_factory=Survey)
    refused: str | None = None
    reason: str = field(default_factory=lambda: f"The source did not tell within {_SECONDS:g} seconds.")


class Estimates:
    """Looks at a flow's source, its earlier runs and its write mode, and stores nothing."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def estimate(self, caller: Caller, body: Json) -> Json:
        """What `POST /runs` with this body would do, in at most about ten seconds.

        What the source does not tell in that time is named under `missing`, with the reason. Raises InvalidRequest
        where such a run would be refused for what it asks.
        """
        store = self._store.scoped(caller)
        flow = flow_asked(store, body)
        see_runnable(flow)
        params = given_params(body)
        window = since_last(store, flow.id, now_ms()) if params is None else window_asked(params)
        asked, known = delta_asked(params or {}), flow.delta_column
        if known is not None and asked is not None:
            compare_delta(known, asked)
        given = known or (delta_of(asked) if asked is not None else None)
        table = flow.frozen["kind"] != "file"  # what an API answers has columns, as a table has
        found = self._look(store, flow, window, given)
        if found.refused is not None:
            raise BadRunParams(found.refused, deltaColumn=shown(found.delta.name) if found.delta else "")
        return {
            "flowId": flow.id,
            "window": window.wire,
            "windowInWords": _in_words(window, found.delta if table else None, table=table),
            **(_of_table(found, "flow" if known else "request" if asked else "suggestion") if table else {}),
            **({} if table else _of_files(found.survey)),
            **_earlier(flow, store.runs_over(flow.id, window, _MOST_RUNS)),
            "missing": [{"what": what, "reason": found.reason} for what in _missing(found, table=table)],
        }

    def _look(self, store: ScopedStore, flow: Resource, window: Window, delta: DeltaColumn | None) -> _Found:
        """What the source tells while there is time; its thread is then left to its own time limits."""
        found = _Found(delta)
        about = flow.frozen["source"]
        secret = store.secret(about["connectionId"]) if about["connectionId"] else {}
        hidden = [str(secret[name]) for name in connection_spec(about["specId"]).secrets if name in secret]

        def work() -> None:
            try:
                tenancy = self._store.tenants.tenancy(store.scope)
                source = open_source(about["specId"], secret, self._settings, tenancy)
                selection = Selection(about["params"], about["data"])
                if flow.frozen["kind"] != "file":
                    _choose(source, selection, found)
                if found.refused is None and (found.delta is not None or flow.frozen["kind"] == "file"):
                    for survey in source.survey(selection, window, found.delta):
                        found.survey = survey
                found.reason = "The source cannot tell without reading it."
            except HeadgateError as error:
                found.reason = redact(error.detail, hidden)

        thread = threading.Thread(target=work, name="estimate", daemon=True)
        thread.start()
        thread.join(_SECONDS)
        return replace(found)  # as it is now, whatever the thread still finds


def _choose(source: Source, selection: Selection, found: _Found) -> None:
    """Find out which columns could be the delta column, and see that the one that is asked for can."""
    preview = source.preview(selection, _ROWS)
    found.candidates = delta_columns(source, preview)
    if found.delta is not None:
        found.refused = source.delta_error(Relation(preview.columns), found.delta)
    elif (own := source.describe(selection).delta) is not None:
        found.delta = DeltaColumn(own)  # what the run would take, too
    elif found.candidates:
        first = found.candidates[0]
        found.delta = DeltaColumn(first["name"], first.get("dateFormat"))


def _in_words(window: Window, delta: DeltaColumn | None, *, table: bool) -> str:
    start, end = str(window).strip("[)").split(", ")
    start, end = (each.replace(".000000Z", "Z") for each in (start, end))
    if not table:
        return f"Files that were last modified at {start} or later, and before {end}."
    if delta is None:
        return f"Rows from {start}, which is included, to {end}, which is not."
    return f"Rows whose {delta.name} is {start} or later, and before {end}. Rows without a value are not taken."


def _of_table(found: _Found, by: str) -> Json:
    survey, delta = found.survey, found.delta
    chosen: Json = {}
    if delta is not None:
        named = {"name": delta.name, "dateFormat": delta.date_format, "timezone": delta.timezone}
        span = {"least": survey.least, "greatest": survey.greatest}
        chosen = {"chosenBy": by, **{name: value for name, value in (named | span).items() if value is not None}}
    counted = {"rows": survey.rows, "rowsAre": "counted" if survey.exact else "estimated"}
    return {
        **({"deltaColumn": chosen} if chosen else {}),
        **({"deltaColumns": found.candidates} if found.candidates is not None else {}),
        **(counted if survey.rows is not None else {}),
    }


def _of_files(survey: Survey) -> Json:
    if survey.files is None:
        return {}
    return {
        "files": survey.files,
        "bytes": survey.bytes,
        "filesAre": "counted" if survey.exact else "at least",
        **({"oldest": survey.least, "newest": survey.greatest} if survey.least is not None else {}),
    }


def _missing(found: _Found, *, table: bool) -> list[str]:
    survey = found.survey
    if not table:
        return [] if survey.exact else ["files"]
    return [
        *(["deltaColumns"] if found.candidates is None else []),
        *(["deltaColumn"] if survey.least is None and not survey.exact else []),
        *(["rows"] if survey.rows is None else []),
    ]


def _earlier(flow: Resource, runs: Sequence[Run]) -> Json:
    """The runs that had to do with the window, newest first, and what the write mode makes of what they brought."""
    target = flow.frozen["target"]
    there = [run for run in runs if run.state is RunState.SUCCESS and run.reverted_at is None]
    rows = sum(_rows(run) for run in there)
    brought = f" {len(there)} earlier {'run' if len(there) == 1 else 'runs'} brought {rows:,} records of windows that"
    match WriteMode(target["writeMode"]):
        case WriteMode.REPLACE_WINDOW:
            effect = "What this flow brought of this window before is replaced, in one commit; nothing else is touched."
            effect += f"{brought} share time with it." if there else " Nothing of it was brought before."
        case WriteMode.APPEND:
            effect = "Rows are added to what is there."
            effect += f"{brought} share time with it: those rows will be there twice." if there else ""
        case WriteMode.UPSERT:
            key = ", ".join(target.get("primaryKey", ()))
            effect = f"A row takes the place of the one with the same {key}; the others are added."
    return {
        "earlierRuns": [
            {
                "id": run.id,
                "state": run.state.value,
                **run.window.wire,
                "createdAt": run.created_at,
                "createdBy": run.created_by,
                "recordCount": _rows(run),
            }
            for run in runs
        ],
        "writeMode": {"name": target["writeMode"], "effect": effect},
    }


def _rows(run: Run) -> int:
    return int(run.metrics.get("recordSummary", {}).get("outputRecordCount", 0))
