"""The resources of the flow service, a group of methods for each kind."""

import time
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Generic, TypeVar
from uuid import UUID

from headgate.client import shapes
from headgate.client.asking import D, Group, call, given, only, operations, pages
from headgate.client.errors import Invalid
from headgate.client.lake import Datasets
from headgate.client.shapes import Changes, Id, Moment
from headgate.client.steps import Page, Steps
from headgate.client.times import on_the_wire
from headgate.model.addresses import FLOW_SERVICE

__all__ = [
    "Collection",
    "ConnectionSpecs",
    "Connections",
    "FlowSpecs",
    "Flows",
    "SourceConnections",
    "Specs",
    "TargetConnections",
    "Webhooks",
]

_LAKE = "c604ff05-7f1a-43c0-8e18-33bf874cb11c"  # the spec of every target connection, by the public contract

R = TypeVar("R")
S = TypeVar("S", bound=shapes.Spec)


class _Found(Group[D], Generic[D, R]):
    """What can be read by its id, or found by its name."""

    _noun: ClassVar[str]

    @call
    def get(self, id: Id) -> Steps[R]:
        """The one with this id. Raises NotFound."""
        return (yield from self._get(id))

    @call
    def find(self, name_or_id: str) -> Steps[R]:
        """The one with this id or, if only one has it, this name. Raises NotFound, Invalid."""
        return (yield from self._find(name_or_id))

    def _get(self, id: Id) -> Steps[R]:
        return (yield from self._ask("GET", self._one(id)))["items"][0]

    def _find(self, name_or_id: str) -> Steps[R]:
        if _is_uuid(name_or_id):
            return (yield from self._get(name_or_id))
        answer = yield from self._ask("GET", self._path, params={"property": f'name=="{name_or_id}"'})
        return only(answer["items"], self._noun, name_or_id)


class Specs(_Found[D, S]):
    """Kinds of connection, or of flow; the same for all sandboxes."""

    @call
    def list(self, *filters: str) -> Steps[Sequence[S]]:
        """All of them that match the filters, such as `name==postgresql`."""
        return (yield from self._ask("GET", self._path, params={"property": filters}))["items"]


class ConnectionSpecs(Specs[D, shapes.ConnectionSpec]):
    """Kinds of system that can be reached."""

    _path, _noun = f"{FLOW_SERVICE}/connectionSpecs", "connection spec"


class FlowSpecs(Specs[D, shapes.FlowSpec]):
    """Kinds of flow."""

    _path, _noun = f"{FLOW_SERVICE}/flowSpecs", "flow spec"


class Collection(_Found[D, R]):
    """What can be made, listed, changed and removed."""

    @pages
    def list(self, *filters: str, limit: int | None = None, orderby: str | None = None) -> Steps[Page[R]]:
        """Those that match every filter (`state==enabled`, `createdAt>1767225600000`), newest first, at most `limit`.

        `orderby` is a field, after `-` for descending order. Pages are asked for as they are come to.
        """
        return (yield from self._by_link(self._path, {"property": filters, "orderby": orderby}, limit))

    @call
    def count(self, *filters: str) -> Steps[int]:
        """How many match every filter."""
        return (yield from self._ask("GET", self._path, params={"property": filters, "count": "true"}))["count"]

    @call
    def create(self, body: Mapping[str, Any], *, draft: bool = False) -> Steps[shapes.Made]:
        """Make one from its JSON object, or a draft, which may lack members."""
        return (yield from self._create(body, draft=draft))

    @call
    def publish(self, id: Id) -> Steps[shapes.Made]:
        """Make a draft what it is to be."""
        return (yield from self._act(id, "publish"))

    @call
    def update(self, id: Id, changes: Changes, *, etag: str | None = None) -> Steps[R]:
        """Change one, if it still is the version `etag`; all of it.

        Without an `etag` that of the object given as `id` counts; of an id alone the newest version is changed,
        whichever that is. Raises Conflict.
        """
        version = etag or (None if isinstance(id, str) else id.get("etag"))
        if version is None:
            current: Any = yield from self._get(id)
            version = current["etag"]
        headers = {"If-Match": str(version)}
        return (yield from self._ask("PATCH", self._one(id), body=operations(changes), headers=headers))

    @call
    def delete(self, id: Id) -> Steps[None]:
        """Remove one that nothing uses."""
        yield from self._ask("DELETE", self._one(id))

    def _create(self, body: Mapping[str, Any], *, draft: bool = False) -> Steps[Any]:
        return (yield from self._ask("POST", self._path, body=body, params={"mode": "draft"} if draft else None))

    def _act(self, id: Id, op: str) -> Steps[Any]:
        return (yield from self._ask("POST", self._one(id, "/action"), params={"op": op}))


class Connections(Collection[D, shapes.Connection]):
    """How systems are reached."""

    _path, _noun = f"{FLOW_SERVICE}/connections", "connection"

    @call
    def create_for(
        self, /, spec: str, params: Mapping[str, Any], *, name: str, auth: str | None = None, **members: Any
    ) -> Steps[shapes.Made]:
        """Make one from the name (or id) of its spec and the parameters by which it signs in.

        `auth` names one of the spec's ways to sign in; by default the first whose required parameters are all given.
        `members` are further members of the object.
        """
        kind = yield from ConnectionSpecs(self._driver)._find(spec)
        ways = kind["authSpec"]
        fitting = [way for way in ways if set(way["spec"].get("required", ())) <= set(params)] or ways
        chosen = auth or (fitting[0]["name"] if fitting else None)
        signing_in = {} if chosen is None else {"auth": {"specName": chosen, "params": params}}
        return (yield from self._create({"name": name, "connectionSpec": _reference(kind), **signing_in, **members}))

    @call
    def test(self, id: Id) -> Steps[shapes.Tested]:
        """Whether the connection's system lets it in; if not, the `reason`."""
        return (yield from self._ask("GET", self._one(id, "/test")))

    @call
    def explore(self, id: Id, folder: str | None = None) -> Steps[Sequence[shapes.Entry]]:
        """The tables, or the folders and files, that a connection reaches; or those in a folder."""
        params = {"objectType": "root" if folder is None else "folder", "object": folder}
        return (yield from self._ask("GET", self._one(id, "/explore"), params=params))

    @call
    def preview(
        self, /, id: Id, *, table: str | None = None, file: str | None = None, rows: bool = True, **options: str
    ) -> Steps[shapes.Preview]:
        """The columns of a table or a file and, with `rows`, its first rows.

        `options` are the API's own: of a file `fileType`, without which it is found out, `columnDelimiter`,
        `compressionType` and `encoding`; `filters`.
        """
        params = {"objectType": "file" if table is None else "table", "object": file if table is None else table}
        if rows:
            params["preview"] = "true"
        if table is None and "fileType" not in options:
            params["determineProperties"] = "true"
        return (yield from self._ask("GET", self._one(id, "/explore"), params={**params, **options}))


class SourceConnections(Collection[D, shapes.SourceConnection]):
    """Which tables or files are read."""

    _path, _noun = f"{FLOW_SERVICE}/sourceConnections", "source connection"


class TargetConnections(Collection[D, shapes.TargetConnection]):
    """Which datasets are written."""

    _path, _noun = f"{FLOW_SERVICE}/targetConnections", "target connection"


class Flows(Collection[D, shapes.Flow]):
    """What runs are made of."""

    _path, _noun = f"{FLOW_SERVICE}/flows", "flow"

    @call
    def create_for(
        self,
        /,
        connection: Id,
        *,
        name: str,
        dataset: str,
        table: str | None = None,
        path: str | None = None,
        format: str = "tabular",
        source: Mapping[str, Any] | None = None,
        target: Mapping[str, Any] | None = None,
        **members: Any,
    ) -> Steps[shapes.Made]:
        """Make a flow on demand of a connection's table or files, with its source and target connections.

        The dataset, by its name or id, is made when there is none of the name. `format` is that of the files at `path`
        (`delimited`, `json`, `parquet` …). `source` and `target` are further `params` of the source connection
        (`columns`, `filters`) and of the target connection (`writeMode`, `primaryKey`), `members` further members of
        the flow (`transformations`, `scheduleParams`, `options`).
        """
        origin = yield from Connections(self._driver)._get(connection)
        spec = origin["connectionSpec"]
        kinds = yield from self._ask("GET", FlowSpecs._path)
        kind = next((one for one in kinds["items"] if _joins(one, spec["id"])), None)
        if kind is None:
            raise Invalid(f"No flow spec takes the connection {origin['id']} as a source.", status=400)
        what = {"tableName": table} if path is None else {"path": path}
        reading = {
            "name": name,
            "connectionSpec": _reference(spec),
            "baseConnectionId": origin["id"],
            "data": {"format": format},
            "params": {**what, **(source or {})},
        }
        read = yield from SourceConnections(self._driver)._create(reading)
        dataset_id = yield from Datasets(self._driver)._named(dataset, make=True)
        writing = {
            "name": name,
            "connectionSpec": _reference({"id": _LAKE}),
            "params": {"dataSetId": dataset_id, **(target or {})},
        }
        written = yield from TargetConnections(self._driver)._create(writing)
        body = {
            "name": name,
            "flowSpec": _reference(kind),
            "sourceConnectionIds": [read["id"]],
            "targetConnectionIds": [written["id"]],
            "scheduleParams": {"startTime": int(time.time()), "frequency": "once"},
        }
        return (yield from self._create({**body, **members}))

    @call
    def windows(
        self, id: Id, *, start: Moment | None = None, end: Moment | None = None
    ) -> Steps[Sequence[shapes.Covered]]:
        """The time from `start` to `end` in spans that runs of the flow brought, failed to bring, or did not try.

        By default from where the newest runs begin until now.
        """
        asked = {name: on_the_wire(moment) for name, moment in given(**{"from": start, "to": end}).items()}
        return (yield from self._ask("GET", self._one(id, "/windows"), params=asked))["items"]

    @call
    def enable(self, id: Id) -> Steps[shapes.Made]:
        """Let a flow take runs again."""
        return (yield from self._act(id, "enable"))

    @call
    def disable(self, id: Id) -> Steps[shapes.Made]:
        """Have a flow take no runs."""
        return (yield from self._act(id, "disable"))


class Webhooks(Collection[D, shapes.Webhook]):
    """Who is told how runs begin and end."""

    _path, _noun = f"{FLOW_SERVICE}/webhooks", "webhook"

    @call
    def create(self, body: Mapping[str, Any], *, draft: bool = False) -> Steps[shapes.MadeWebhook]:
        """Register a receiver; the answer has its secret, where none was sent. It is shown only now."""
        return (yield from self._create(body, draft=draft))

    @pages
    def deliveries(self, id: Id, *filters: str, limit: int | None = None) -> Steps[Page[shapes.Delivery]]:
        """What a webhook was or will be sent, newest first."""
        return (yield from self._by_link(self._one(id, "/deliveries"), {"property": filters}, limit))


def _joins(flow_spec: Any, source: str) -> bool:
    sources, targets = flow_spec.get("sourceConnectionSpecIds", ()), flow_spec.get("targetConnectionSpecIds", ())
    return source in sources and _LAKE in targets


def _reference(spec: Any) -> dict[str, str]:
    return {"id": spec["id"], "version": "1.0"}


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
