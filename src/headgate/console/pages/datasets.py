"""Datasets: what the lake holds, table by table; and questions to it in SQL."""

import threading
from urllib.parse import quote

from starlette.responses import Response

from headgate.console.page import Pages, Visit
from headgate.errors import HeadgateError, InvalidRequest, TooManyRequests
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.service.queries import watched

__all__ = ["pages"]

pages = Pages()
_VIEW = Permission.VIEW_DATASETS
_PAGE = 50
_TABS = (("schema", "Schema"), ("snapshots", "Snapshots"), ("preview", "Preview"), ("sql", "SQL"))


@pages.get("/datasets", needs=_VIEW)
def datasets(visit: Visit) -> Response:
    """The datasets of the sandbox, newest first."""
    name, start = visit.asked("name"), visit.asked("continuationToken") or "0"
    wanted = [("limit", str(_PAGE + 1)), ("start", start if start.isdecimal() else "0")]
    if name:
        wanted.append(("name", f"*{name.replace('*', '**')}*"))
    items = list(visit.service.datasets.listing(visit.caller, wanted).items())
    links = {}
    if len(items) > _PAGE:
        links = {"next": {"href": f"/datasets?continuationToken={int(wanted[1][1]) + _PAGE}"}}
    found = {"items": [{"id": id_, **item} for id_, item in items[:_PAGE]], "_links": links}
    return visit.page("datasets/list.html", part="results", found=found, name=name)


@pages.get("/datasets/{id}", needs=_VIEW)
async def dataset(visit: Visit) -> Response:
    """One dataset: its columns, its snapshots, its first rows, or the box for SQL."""
    show = visit.asked("show", "schema")
    if show != "preview":
        return await visit.in_thread(_shown, visit, show)
    async with watched(visit.request.is_disconnected) as gone:
        return await visit.in_thread(_previewed, visit, gone)


@pages.post("/datasets/{id}/query", needs=_VIEW)
async def run_query(visit: Visit) -> Response:
    """Answer a query beside the box that it was written in; it is broken off when the browser leaves."""
    async with watched(visit.request.is_disconnected) as gone:
        return await visit.in_thread(_asked, visit, gone)


def _previewed(visit: Visit, gone: threading.Event) -> Response:
    return _shown(visit, "preview", answer=visit.service.queries.preview(visit.caller, visit.of("id"), [], gone))


def _asked(visit: Visit, gone: threading.Event) -> Response:
    sql = visit.form.get("sql", "")
    try:
        answer = visit.service.queries.ask(visit.caller, {"sql": sql}, gone)
    except (InvalidRequest, TooManyRequests) as error:
        return _shown(visit, "sql", sql=sql, error=error, status=error.status)
    return _shown(visit, "sql", sql=sql, answer=answer)


def _shown(
    visit: Visit,
    show: str,
    *,
    sql: str = "",
    answer: Json | None = None,
    error: HeadgateError | None = None,
    status: int = 200,
) -> Response:
    service, caller, id_ = visit.service, visit.caller, visit.of("id")
    item = service.datasets.get(caller, id_)[id_]
    schema = service.tables.schema(caller, id_)
    snapshots: Json = {"items": [], "_links": {}}
    if show == "snapshots":
        snapshots = service.tables.snapshots(caller, id_, visit.listing("limit", "continuationToken"))
    return visit.page(
        "datasets/dataset.html",
        part="answer" if show == "sql" else "",
        status=status,
        dataset={"id": id_, **item},
        at=f"/datasets/{quote(id_)}",
        tabs=_TABS,
        show=show if show in dict(_TABS) else "schema",
        schema=schema,
        snapshots=snapshots,
        sql=sql or f'SELECT *\nFROM "{schema["table"].replace(chr(34), chr(34) * 2)}"\nLIMIT 100',
        answer=answer,
        error=error,
    )
