"""The sources that can be connected, and the form that makes a connection to one."""

from collections import Counter
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response

from headgate.console.auth_form import AuthForm
from headgate.console.catalogue import CATEGORIES, SourceKind, kind_of, kinds, uses
from headgate.console.page import Pages, Visit
from headgate.console.policy import is_local
from headgate.errors import HeadgateError, InvalidRequest, NotFound
from headgate.model.permissions import Permission
from headgate.model.runs import Json

__all__ = ["pages"]

pages = Pages()


@pages.get("/sources", needs=Permission.VIEW_SOURCES)
def sources(visit: Visit) -> Response:
    """The catalogue, of which a search and a category leave a part."""
    text, category = visit.asked("q"), visit.asked("category")
    found = [kind for kind in kinds(visit) if kind.matches(text) and (kind.runnable or not visit.asked("runs"))]
    counts = Counter(kind.category for kind in found)
    shown = [kind for kind in found if not visit.asked("category") or kind.category == category]
    return visit.page(
        "sources/catalogue.html",
        part="results",
        kinds=shown,
        total=len(found),
        categories=[(key, label, counts[key]) for key, label in CATEGORIES.items() if counts[key]],
        labels=CATEGORIES,
        uses=uses(visit),
    )


@pages.get("/sources/{spec}", needs=Permission.MANAGE_SOURCES)
def new_connection(visit: Visit) -> Response:
    """The form for a new connection, or for one that was kept as a draft."""
    kind = kind_of(visit, visit.of("spec"))
    draft = _draft(visit, kind, visit.asked("draft"))
    return _form(visit, kind, _auth_of(kind, draft, visit.asked("auth")), draft)


@pages.post("/sources/{spec}", needs=Permission.MANAGE_SOURCES)
def connect(visit: Visit) -> Response:
    """Keep the form as a draft, whose credentials are sealed and never shown; try it; and publish what works.

    `do` is test, save, keep (as a draft) or anyway (save what did not pass its test). When another way to authenticate
    is chosen than the one `shown`, its fields are shown first, with what was entered that they have too.
    """
    kind, form, do = kind_of(visit, visit.of("spec")), visit.form, visit.form.get("do", "save")
    draft = _draft(visit, kind, form.get("draft", ""))
    auth = _auth_of(kind, draft, form.get("auth", ""))
    if auth is not None and form.get("shown", auth.name) != auth.name:
        return _form(visit, kind, auth, draft)
    params = auth.params(form) if auth is not None else {}
    wrong = {} if auth is None or do == "keep" else auth.missing(params)
    if not form.get("name", "").strip():
        wrong = {"name": "Give the connection a name.", **wrong}
    if wrong:
        return _form(visit, kind, auth, draft, wrong=wrong)
    try:
        draft = _kept(visit, kind, draft, auth, params)
    except InvalidRequest as error:
        return _form(visit, kind, auth, draft, error=error)
    id_ = str(draft["id"])
    if do == "keep":
        return visit.go(f"/connections/{id_}", said="The connection is kept as a draft. Nothing reads it until then.")
    tested = {"result": True} if do == "anyway" else visit.service.exploring.test(visit.caller, id_)
    auth = _auth_of(kind, draft, form.get("auth", ""))
    if do == "test" or not tested["result"]:
        return _form(visit, kind, auth, draft, tested=tested)
    try:
        visit.service.connections.act(visit.caller, id_, [("op", "publish")], None)
    except InvalidRequest as error:
        return _form(visit, kind, auth, draft, error=error, tested=tested)
    return visit.go(_onward(visit, id_), said=f"{form['name'].strip()} is connected.")


def _form(
    visit: Visit,
    kind: SourceKind,
    auth: AuthForm | None,
    draft: Json | None,
    *,
    wrong: dict[str, str] | None = None,
    error: HeadgateError | None = None,
    tested: Json | None = None,
) -> Response:
    wrong = dict(wrong or {})
    if error is not None and (at := _field_of(error)):
        wrong[at] = error.detail
        error = None
    sent = visit.form
    return visit.page(
        "sources/new.html",
        part="form",
        status=400 if wrong or error is not None else 200,
        kind=kind,
        auth=auth,
        values=auth.values(sent) if auth is not None else {},
        draft=draft,
        name=sent.get("name", (draft or {}).get("name", "")),
        description=sent.get("description", (draft or {}).get("description", "")),
        next=sent.get("next", visit.asked("next")),
        wrong=wrong,
        error=error,
        tested=tested,
    )


def _draft(visit: Visit, kind: SourceKind, id_: str) -> Json | None:
    """The draft that the form goes on with, None without one. Raises NotFound."""
    if not id_:
        return None
    draft = visit.service.connections.get(visit.caller, id_)
    if draft["state"] != "draft" or draft["connectionSpec"]["id"] != kind.id:
        raise NotFound(f"There is no draft {id_[:80]!r} of a connection to {kind.title} any more.", id=id_[:80])
    return draft


def _auth_of(kind: SourceKind, draft: Json | None, asked: str) -> AuthForm | None:
    """The form of the chosen way to authenticate: of the draft's, or the first. None for a source without any."""
    held = (draft or {}).get("auth") or {}
    names = [auth["name"] for auth in kind.auth]
    chosen = next((name for name in (asked, held.get("specName")) if name in names), names[0] if names else None)
    if chosen is None:
        return None
    stored = held.get("params", {}) if held.get("specName") == chosen else {}
    return AuthForm(kind.auth[names.index(chosen)], stored)


def _kept(visit: Visit, kind: SourceKind, draft: Json | None, auth: AuthForm | None, params: Json) -> Json:
    """The draft as the form has it. Raises InvalidRequest."""
    connections, caller, form = visit.service.connections, visit.caller, visit.form
    body: dict[str, Any] = {"name": form["name"].strip(), "description": form.get("description", "").strip()}
    if auth is not None:
        body["auth"] = {"specName": auth.name, "params": params}
    if draft is None:
        spec = {"connectionSpec": {"id": kind.id, "version": "1.0"}}
        made = connections.create(caller, {**body, **spec}, [("mode", "draft")])
        return connections.get(caller, made["id"])
    changes = [{"op": "add", "path": f"/{name}", "value": value} for name, value in body.items()]
    return connections.patch(caller, draft["id"], changes, etag=None)


def _field_of(error: HeadgateError) -> str:
    """The field that an error is about; empty when it is about none."""
    return AuthForm.field_of(error) or {"name": "name"}.get(error.report.get("parameter", ""), "")


def _onward(visit: Visit, id_: str) -> str:
    """Where to go with the new connection: back to where it was needed, or to its page."""
    target = visit.form.get("next", "")
    if target and is_local(target):
        return f"{target}{'&' if '?' in target else '?'}{urlencode({'connection': id_})}"
    return f"/connections/{id_}"
