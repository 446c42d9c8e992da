"""Connections: which there are, what uses them, and what can be read through them."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from headgate.console.auth_form import AuthForm
from headgate.console.catalogue import called, every, kind_of, kinds
from headgate.console.contents import FORMATS, Contents, Shown
from headgate.console.page import Pages, Visit
from headgate.errors import HeadgateError, InvalidRequest, NotFound
from headgate.model.permissions import Permission
from headgate.model.runs import Json

__all__ = ["pages"]

pages = Pages()
_OF_CONNECTION = "inheritedAttributes.sourceConnections[].baseConnection.id"
_PAGE, _MOST_FLOWS = "50", "100"


@pages.get("/connections", needs=Permission.VIEW_SOURCES)
def connections(visit: Visit) -> Response:
    """The connections of the sandbox, newest first, of a source or a person if one is chosen."""
    asked = [
        ("property", f'{field}=="{value}"')
        for field, value in (("connectionSpec.id", visit.asked("source")), ("createdBy", visit.asked("creator")))
        if value and '"' not in value
    ]
    part, more = visit.asked("name"), False
    if part:
        named, more = called(visit.service.connections.listing, visit.caller, part)
        asked.append(("property", f"id=={','.join(named)}"))
    token = visit.listing("continuationToken")
    found = visit.service.connections.listing(visit.caller, [*([] if token else asked), *token, ("limit", _PAGE)])
    projected = [("property", "connectionSpec,createdBy")]
    everything = list(every(visit.service.connections.listing, visit.caller, projected))
    titles = {kind.id: kind.title for kind in kinds(visit)}
    used = {one["connectionSpec"]["id"] for one in everything}
    return visit.page(
        "connections/list.html",
        part="results",
        found=found,
        more=more,
        flows=_counts(visit, [one["id"] for one in found["items"]]),
        titles=titles,
        sources=sorted(((id_, titles.get(id_, id_)) for id_ in used), key=lambda each: each[1].casefold()),
        creators=sorted({str(one["createdBy"]) for one in everything}),
    )


@pages.get("/connections/{id}", needs=Permission.VIEW_SOURCES)
def connection(visit: Visit) -> Response:
    """One connection: how it authenticates, and the flows that read through it."""
    return _details(visit)


@pages.post("/connections/{id}", needs=Permission.MANAGE_SOURCES)
def rename(visit: Visit) -> Response:
    """Give it another name and description."""
    changes = [
        {"op": "add", "path": f"/{name}", "value": visit.form.get(name, "").strip()} for name in ("name", "description")
    ]
    try:
        visit.service.connections.patch(visit.caller, visit.of("id"), changes, etag=visit.form.get("etag") or None)
    except InvalidRequest as error:
        return _details(visit, error=error)
    return visit.go(f"/connections/{visit.of('id')}", said="Saved.")


@pages.post("/connections/{id}/test", needs=Permission.VIEW_SOURCES)
def test(visit: Visit) -> Response:
    """Try whether the system lets it in."""
    return _details(visit, tested=visit.service.exploring.test(visit.caller, visit.of("id")))


@pages.post("/connections/{id}/publish", needs=Permission.MANAGE_SOURCES)
def publish(visit: Visit) -> Response:
    """Let a draft be used."""
    try:
        visit.service.connections.act(visit.caller, visit.of("id"), [("op", "publish")], None)
    except InvalidRequest as error:
        return _details(visit, error=error)
    return visit.go(f"/connections/{visit.of('id')}", said="The connection can be used now.")


@pages.post("/connections/{id}/delete", needs=Permission.MANAGE_SOURCES)
def delete(visit: Visit) -> Response:
    """Remove it, when no flow uses it."""
    try:
        visit.service.connections.delete(visit.caller, visit.of("id"))
    except NotFound:
        raise
    except InvalidRequest as error:
        return _details(visit, error=error)
    return visit.go("/connections", said="The connection is deleted.")


@pages.get("/connections/{id}/credentials", needs=Permission.MANAGE_SOURCES)
def credentials(visit: Visit) -> Response:
    """The form that gives it other credentials."""
    return _credentials(visit, _get(visit))


@pages.post("/connections/{id}/credentials", needs=Permission.MANAGE_SOURCES)
def renew(visit: Visit) -> Response:
    """Seal the credentials that were sent in place of those it has, and try them."""
    found, form = _get(visit), visit.form
    auth = _auth_of(visit, found)
    params = auth.params(form)
    if wrong := auth.missing(params):
        return _credentials(visit, found, wrong=wrong)
    change = {"op": "add", "path": "/auth", "value": {"specName": auth.name, "params": params}}
    try:
        visit.service.connections.patch(visit.caller, found["id"], [change], etag=form.get("etag") or None)
    except InvalidRequest as error:
        return _credentials(visit, found, error=error)
    tested = visit.service.exploring.test(visit.caller, found["id"])
    address = f"/connections/{found['id']}"
    if not tested["result"]:
        return visit.go(address, said=f"Saved, but the test did not pass. {tested['reason']}"[:1000], tone="bad")
    return visit.go(address, said="The new credentials are saved, and the system lets them in.")


@pages.get("/connections/{id}/explore", needs=Permission.VIEW_SOURCES)
def explore(visit: Visit) -> Response:
    """What is reached through it, as a tree, and the first rows of what is chosen there."""
    found = _get(visit)
    kind = kind_of(visit, found["connectionSpec"]["id"])
    contents = Contents(visit, found["id"], kind.id, kind.reads)
    show, how = visit.asked("show"), {name: visit.asked(name) for name in FORMATS}
    if visit.partial and show == "children":
        children = contents.entries(visit.asked("children"))
        return visit.page("connections/explore.html", part="children", entries=children)
    path, preview = visit.asked("object"), visit.partial and not show
    return visit.page(
        "connections/explore.html",
        part="tree" if show == "tree" else "preview",
        connection=found,
        kind=kind,
        entries=None if preview else contents.entries(visit.asked("folder"), visit.asked("q")),
        shown=contents.show(path, how) if path and not (visit.partial and show == "tree") else Shown(),
        path=path,
        how=how,
        formats=FORMATS,
    )


def _get(visit: Visit) -> Json:
    """The connection of the address. Raises NotFound."""
    return visit.service.connections.get(visit.caller, visit.of("id"))


def _details(visit: Visit, *, error: HeadgateError | None = None, tested: Json | None = None) -> Response:
    found = _get(visit)
    flows = visit.service.flows.listing(
        visit.caller, [("property", f"{_OF_CONNECTION}=={found['id']}"), ("limit", _MOST_FLOWS)]
    )["items"]
    kind = kind_of(visit, found["connectionSpec"]["id"])
    held = (found.get("auth") or {}).get("params") or {}
    auth = next((one for one in kind.auth if one["name"] == (found.get("auth") or {}).get("specName")), None)
    return visit.page(
        "connections/connection.html",
        status=400 if error is not None else 200,
        connection=found,
        kind=kind,
        flows=flows,
        datasets=_datasets(visit, flows),
        auth=AuthForm(auth, held) if auth is not None else None,
        error=error,
        tested=tested,
    )


def _auth_of(visit: Visit, found: Json) -> AuthForm:
    """The form of the connection's credentials. Raises NotFound for one that has none."""
    kind, held = kind_of(visit, found["connectionSpec"]["id"]), found.get("auth") or {}
    for auth in kind.auth:
        if auth["name"] == held.get("specName"):
            return AuthForm(auth, held.get("params") or {})
    raise NotFound("This connection has no credentials.", id=found["id"])


def _credentials(visit: Visit, found: Json, *, error: HeadgateError | None = None, **context: Any) -> Response:
    auth, wrong = _auth_of(visit, found), dict(context.get("wrong") or {})
    if error is not None and (at := auth.field_of(error)):
        wrong[at], error = error.detail, None
    return visit.page(
        "connections/credentials.html",
        status=400 if wrong or error is not None else 200,
        connection=found,
        auth=auth,
        values=auth.values(visit.form),
        wrong=wrong,
        error=error,
    )


def _counts(visit: Visit, ids: list[str]) -> Counter[str]:
    """How many flows read through each of the connections."""
    if not ids:
        return Counter()
    asked = [("property", f"{_OF_CONNECTION}=={','.join(ids)}"), ("property", "inheritedAttributes")]
    found = every(visit.service.flows.listing, visit.caller, asked)
    return Counter(str(flow["inheritedAttributes"]["sourceConnections"][0]["baseConnection"]["id"]) for flow in found)


def _datasets(visit: Visit, flows: list[Json]) -> dict[str, tuple[str, str]]:
    """The id and name of the dataset that each of the flows writes to, by the flow's id."""
    targets = {flow["id"]: flow["targetConnectionIds"][0] for flow in flows}
    if not targets:
        return {}
    asked = [("property", f"id=={','.join(sorted(set(targets.values())))}"), ("limit", _MOST_FLOWS)]
    found = visit.service.target_connections.listing(visit.caller, asked)["items"]
    datasets = {one["id"]: str((one.get("params") or {}).get("dataSetId", "")) for one in found}
    names: dict[str, str] = {}
    if visit.may(Permission.VIEW_DATASETS) and any(datasets.values()):
        ids = [("id", ",".join(sorted(set(filter(None, datasets.values()))))), ("limit", _MOST_FLOWS)]
        names = {id_: str(one["name"]) for id_, one in visit.service.datasets.listing(visit.caller, ids).items()}
    return {flow: (id_, names.get(id_, id_)) for flow, target in targets.items() if (id_ := datasets.get(target, ""))}
