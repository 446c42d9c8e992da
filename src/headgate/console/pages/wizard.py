"""From a source to its first run, step by step. The steps' state is their address, see `console.draft`."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from headgate.console.catalogue import SourceKind, every, kind_of, kinds
from headgate.console.contents import FORMATS, Contents, Shown
from headgate.console.draft import STEPS, Draft, Pairs
from headgate.console.making import make, mapping_body, planned, written
from headgate.console.page import Pages, Visit
from headgate.errors import HeadgateError, InvalidRequest, NotFound
from headgate.model.permissions import Permission
from headgate.model.resources import WriteMode
from headgate.model.runs import Json

__all__ = ["pages"]

pages = Pages()
_FREQUENCIES = {"minute": 15, "hour": 1, "day": 1, "week": 1}  # and the least interval of each
_MOST_DATASETS, _DATASETS = 500, 100
_SAMPLE = 5  # rows of the mapping's preview


@pages.get("/wizard", needs=Permission.MANAGE_SOURCES)
def wizard(visit: Visit) -> Response:
    """The step that is asked for, or the first before it that lacks something."""
    draft = Draft.of(visit.request.query_params.multi_items())
    asked = visit.asked("step") or ("data" if draft.connection or draft.spec else "connection")
    return _Wizard(visit, draft).page(asked if asked in STEPS else "connection")


@pages.post("/wizard", needs=Permission.MANAGE_SOURCES)
def on(visit: Visit) -> Response:
    """Take what a step's form holds and go to the step whose button was pressed."""
    draft = Draft.of(_chosen(visit.fields))
    step = visit.form.get("step", "connection")
    if draft.too_long:
        sentence = "So many changes do not fit here. Make the mapping set by the API, and the flow with it."
        return _Wizard(visit, draft).page("mapping", {"columns": sentence})
    return visit.go(draft.address(step if step in STEPS else "connection"))


@pages.post("/wizard/finish", needs=Permission.MANAGE_SOURCES)
def finish(visit: Visit) -> Response:
    """Make the flow, and go to it or to the dialog of its first run."""
    draft = Draft.of(visit.fields)
    steps = _Wizard(visit, draft)
    if (lacking := steps.lacking("review")) is not None:
        return steps.page(lacking)
    try:
        plan = planned(visit, draft, steps.kind, steps.shown.names)
        id_ = make(visit, plan)
    except InvalidRequest as error:
        return steps.page("review", error=error)
    if visit.form.get("then") == "run" and visit.may(Permission.RUN_ON_DEMAND):
        query = {"flow": id_, **({"delta": draft.delta} if draft.delta else {})}
        return visit.go(f"/runs/new?{urlencode(query)}", said=f"The flow {draft.name} is made. This is its first run.")
    return visit.go(f"/flows/{id_}", said=f"The flow {draft.name} is made.")


class _Wizard:
    """The steps of one draft, with what is known of its source."""

    def __init__(self, visit: Visit, draft: Draft) -> None:
        self.visit, self.draft = visit, draft
        self.connection: Json | None = None
        self._kind: SourceKind | None = None
        self._shown: Shown | None = None
        self.unusable = self._look()

    def _look(self) -> str:
        """Find what is read through; a sentence when it cannot be, empty when it can or nothing is chosen yet."""
        visit, draft = self.visit, self.draft
        try:
            if draft.connection:
                self.connection = visit.service.connections.get(visit.caller, draft.connection)
                self._kind = kind_of(visit, self.connection["connectionSpec"]["id"])
                if self.connection["state"] == "draft":
                    return f"{self.connection['name']} is a draft. Publish it first, on its page."
            elif draft.spec:
                self._kind = kind_of(visit, draft.spec)
        except NotFound as error:
            return error.detail
        if self._kind is not None and not self._kind.runnable:
            return f"{self._kind.title} is only listed; it does not run here."
        return ""

    @property
    def kind(self) -> SourceKind:
        """The source that is read. Raises NotFound when none is chosen."""
        if self._kind is None:
            raise NotFound("No source is chosen.")
        return self._kind

    @property
    def contents(self) -> Contents:
        """What can be chosen there."""
        return Contents(self.visit, self.draft.connection, self.kind.id, self.kind.reads)

    @property
    def shown(self) -> Shown:
        """The columns and first rows of what is chosen; asked for once."""
        if self._shown is None:
            chosen = self.draft.object
            self._shown = self.contents.show(chosen, self.draft.how) if chosen else Shown()
        return self._shown

    # -- what is lacking -----------------------------------------------------------------------------

    def lacking(self, step: str) -> str | None:
        """The first step before `step` that lacks something, None when there is none."""
        before = list(STEPS)[: list(STEPS).index(step)]
        return next((one for one in before if self.wrong(one)), None)

    def wrong(self, step: str) -> dict[str, str]:
        """What is lacking or wrong in a step, by the names of its fields."""
        check = {
            "connection": self._wrong_connection,
            "data": self._wrong_data,
            "target": self._wrong_target,
            "mapping": self._wrong_mapping,
            "schedule": self._wrong_schedule,
        }.get(step)
        return check() if check is not None else {}

    def _wrong_connection(self) -> dict[str, str]:
        if self.unusable:
            return {"connection": self.unusable}
        if self._kind is None:
            return {"connection": "Choose what is read, or make a new connection."}
        if not self._kind.open and not self.draft.connection:
            return {"connection": f"Choose a connection to {self._kind.title}, or make one."}
        return {}

    def _wrong_data(self) -> dict[str, str]:
        if not self.draft.object:
            return {"object": f"Choose a {self.kind.reads} first."}
        if self.kind.files and not self.draft.fileType:
            return {"object": "Choose the file's format."}
        return {"object": self.shown.error.detail} if self.shown.error is not None else {}

    def _wrong_target(self) -> dict[str, str]:
        draft, wrong = self.draft, {}
        if not draft.name:
            wrong["name"] = "Give the flow a name."
        if not draft.dataset and not draft.dataset_name:
            wrong["dataset_name"] = "Give the new dataset a name, or choose one that is there."
        if draft.mode not in list(WriteMode):
            wrong["mode"] = "Choose one of them."
        if draft.mode == WriteMode.UPSERT:
            known = [old for old, _ in draft.columns(self.shown.names)]
            if not draft.key:
                wrong["key"] = "Choose the columns that tell rows apart."
            elif unknown := [name for name in draft.key if name not in known]:
                wrong["key"] = f"The column {unknown[0]!r} is not there, or not kept. Choose among the others."
        if draft.percent and not _is_percent(draft.percent):
            wrong["percent"] = "A number above 0 and up to 100."
        return wrong

    def _wrong_mapping(self) -> dict[str, str]:
        if self.draft.mapped and not self.draft.columns(self.shown.names):
            return {"columns": "Keep at least one column."}
        return {"columns": self.sample().get("error", "")} if self.draft.mapped and "error" in self.sample() else {}

    def _wrong_schedule(self) -> dict[str, str]:
        draft, wrong = self.draft, {}
        if draft.frequency == "once":
            return {}
        if (least := _FREQUENCIES.get(draft.frequency)) is None:
            return {"frequency": "Choose one of them."}
        if not (draft.interval.isascii() and draft.interval.isdigit() and least <= int(draft.interval) < 10**6):
            wrong["interval"] = f"A whole number, {least} or more."
        if draft.begins is None:
            wrong["start"] = "Enter a date and a time."
        if not self.kind.files and not draft.delta:
            wrong["delta"] = "A flow with a schedule needs a delta column: only so it knows what is new."
        return wrong

    def sample(self) -> Json:
        """What the mapping makes of the first rows; `error` is why it cannot."""
        body = {"data": list(self.shown.records[:_SAMPLE]), "mappingSet": mapping_body(self.draft, self.shown.names)}
        try:
            made = self.visit.service.mapping_sets.preview(self.visit.caller, body) if body["data"] else {"data": []}
        except InvalidRequest as error:
            return {"error": error.detail}
        return dict(made)

    # -- pages ---------------------------------------------------------------------------------------

    def page(self, asked: str, wrong: Mapping[str, str] | None = None, error: HeadgateError | None = None) -> Response:
        """The page of a step. What an earlier step lacks comes first."""
        lacking = None if wrong else self.lacking(asked)
        step = lacking or asked
        found = dict(wrong or {})
        if (lacking is not None and self.visit.asked("step")) or (lacking and self.visit.fields):
            found = self.wrong(step)
        about = {
            "connection": self._connection,
            "data": self._data,
            "target": self._target,
            "mapping": self._mapping,
            "schedule": self._schedule,
            "review": self._review,
        }[step]()
        steps = list(STEPS)
        at = steps.index(step)
        return self.visit.page(
            f"wizard/{step}.html",
            part=about.pop("part", ""),
            status=error.status if error is not None else 200,
            draft=self.draft,
            step=step,
            steps=STEPS,
            number=at + 1,
            before=steps[at - 1] if at else "",
            after=steps[at + 1] if at + 1 < len(steps) else "",
            kind=self._kind,
            connection=self.connection,
            wrong=found,
            error=error,
            **about,
        )

    def _connection(self) -> dict[str, Any]:
        known = {kind.id: kind for kind in kinds(self.visit)}
        listed = every(
            self.visit.service.connections.listing, self.visit.caller, [("property", "name,connectionSpec,state")]
        )
        usable = [
            (one["id"], str(one.get("name", "")), known[one["connectionSpec"]["id"]])
            for one in listed
            if one["connectionSpec"]["id"] in known and one["state"] != "draft"
        ]
        if self._kind is not None:
            usable = [one for one in usable if one[2].id == self._kind.id]
        return {
            "usable": sorted((one for one in usable if one[2].runnable), key=lambda one: one[1].casefold()),
            "open": [
                kind for kind in known.values() if kind.runnable and (not kind.account or kind.name == "local-files")
            ],
            "onward": "/wizard?" + urlencode([("step", "data"), *self.draft.but(["connection", "spec"])]),
        }

    def _data(self) -> dict[str, Any]:
        visit, contents = self.visit, self.contents
        show = visit.asked("show")
        if visit.partial and show == "children":
            return {"part": "children", "entries": contents.entries(visit.asked("children"))}
        tree = None if visit.partial and not show else contents.entries(visit.asked("folder"), visit.asked("q"))
        shown = Shown() if visit.partial and show == "tree" else self.shown
        return {
            "part": "tree" if show == "tree" else "preview",
            "entries": tree,
            "shown": shown,
            "formats": FORMATS,
            "path": self.draft.object,
        }

    def _target(self) -> dict[str, Any]:
        datasets: list[tuple[str, str]] = []
        if self.visit.may(Permission.VIEW_DATASETS):
            for start in range(0, _MOST_DATASETS, _DATASETS):
                asked = [("limit", str(_DATASETS)), ("start", str(start)), ("properties", "name")]
                page = self.visit.service.datasets.listing(self.visit.caller, asked)
                datasets += [(id_, str(one.get("name", id_))) for id_, one in page.items()]
                if len(page) < _DATASETS:
                    break
        return {"datasets": sorted(datasets, key=lambda one: one[1].casefold()), "names": self.shown.names}

    def _mapping(self) -> dict[str, Any]:
        sample = self.sample() if self.draft.mapped else {}
        first = self.shown.rows[0] if self.shown.rows else [None] * len(self.shown.columns)
        columns = [(name, type_, value) for (name, type_), value in zip(self.shown.columns, first, strict=True)]
        return {"columns": columns, "sample": sample, "renamed": dict(self.draft.renamed)}

    def _schedule(self) -> dict[str, Any]:
        types = dict(self.shown.columns)
        candidates = [
            ("\t".join(part for part in (one["name"], one.get("dateFormat", "")) if part), f"{one['name']} ({about})")
            for one in self.shown.delta
            if (about := one.get("dateFormat") or types.get(one["name"], ""))
        ]
        start = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
        return {"candidates": candidates, "soon": start.strftime("%Y-%m-%dT%H:%M"), "frequencies": tuple(_FREQUENCIES)}

    def _review(self) -> dict[str, Any]:
        plan = planned(self.visit, self.draft, self.kind, self.shown.names)
        base = self.visit.service.identity.public_url or str(self.visit.request.base_url).rstrip("/")
        dataset = self.draft.dataset_name
        if self.draft.dataset and not self.visit.may(Permission.VIEW_DATASETS):
            dataset = self.draft.dataset
        elif self.draft.dataset:
            found = self.visit.service.datasets.get(self.visit.caller, self.draft.dataset)
            dataset = str(found[self.draft.dataset]["name"])
        session = self.visit.session
        return {
            "plan": plan,
            "dataset": dataset,
            "count": len(self.draft.columns(self.shown.names)),
            "recipes": written(plan, base, session.org_id, session.sandbox),
        }


def _chosen(fields: Pairs) -> list[tuple[str, str]]:
    """What a form's fields say, in the words of an address: columns that are not kept are dropped."""
    listed: Sequence[str] = [value for name, value in fields if name == "column"]
    kept = {value for name, value in fields if name == "keep"}
    return [*fields, *(("drop", name) for name in listed if name not in kept)]


def _is_percent(text: str) -> bool:
    try:
        return 0 < float(text) <= 100
    except ValueError:
        return False
