"""Sandbox management: what an organisation's people see and do with its sandboxes."""

import re
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from headgate.errors import (
    BadFilterValue,
    BadSandbox,
    SandboxBusy,
    SandboxProtected,
    SandboxTaken,
    SandboxUnknown,
)
from headgate.model.orgs import Sandbox
from headgate.model.query import Field, parse_limit, parse_query, whole_number
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import shown
from headgate.service.paging import Parameters, known_parameters, truth
from headgate.store import Sandboxes as SandboxStore
from headgate.store import Store, Taken

if TYPE_CHECKING:
    from headgate.targets import Lake

__all__ = ["Sandboxes", "check_new", "empty", "see_not_default"]

_TYPES = ("production", "development")
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,63}")
_LONGEST_TITLE = 255
_PATIENCE = 15.0  # seconds for the runs of a sandbox to end before it is emptied
_FIELDS = {name: Field(name) for name in ("id", "name", "title", "state", "type", "region", "isDefault", "createdBy")}
_ORDERS = {**_FIELDS, "createdDate": Field("createdDate"), "lastModifiedDate": Field("lastModifiedDate")}


class Sandboxes:
    """The sandboxes of the caller's organisation. A sandbox in which the caller has no role is like none."""

    def __init__(self, store: Store, lake: "Lake") -> None:
        self._sandboxes = store.sandboxes
        self._tenants = store.tenants
        self._lake = lake

    def usable(self, caller: Caller, parameters: Parameters) -> Json:
        """Those that can be used now."""
        return _page([item for item in self._mine(caller) if item.state == "active"], parameters)

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """Those in any state. Raises InvalidRequest."""
        return _page(self._mine(caller), parameters)

    def get(self, caller: Caller, name: str) -> Json:
        """The one of this name. Raises SandboxUnknown."""
        return _wire(self._one(caller, name))

    def types(self) -> Json:
        """What kinds of sandbox there are."""
        return {"sandboxTypes": [{"id": name, "title": name.capitalize()} for name in _TYPES]}

    def create(self, caller: Caller, body: Json) -> Json:
        """Make a sandbox; it can be used as soon as this is answered. Raises BadSandbox, SandboxTaken."""
        name, title, type_ = check_new(body)
        try:
            made = self._sandboxes.add(caller.scope.org_id, name, title, type_, by=caller)
        except Taken as error:
            raise SandboxTaken(f"There is a sandbox {name!r} already, perhaps a deleted one.") from error
        return {**_wire(made), "state": "creating"}

    def rename(self, caller: Caller, name: str, body: Json) -> Json:
        """Give a sandbox another title. Raises SandboxUnknown, BadSandbox."""
        self._living(caller, name)
        for member in body:
            if member != "title":
                raise BadSandbox(f"{shown(member)} cannot be changed; only the title can.")
        return _wire(self._sandboxes.rename(caller.scope.org_id, name, _title(body), by=caller))

    def act(self, caller: Caller, name: str, body: Json, parameters: Parameters) -> Json:
        """Do the `action` of the body: `reset` removes all that the sandbox holds, its lake tables too.

        Its runs are cancelled first. With `validationOnly` nothing is done. Raises SandboxUnknown,
        SandboxProtected, BadSandbox, SandboxBusy while a run does not end.
        """
        if body.get("action") != "reset":
            raise BadSandbox(f"action is {shown(body.get('action'))}; send reset.")
        sandbox = self._living(caller, name)
        see_not_default(sandbox, "reset")
        if _only_validated(parameters):
            return _wire(sandbox)
        return _wire(empty(self._sandboxes, self._lake, sandbox, by=caller))

    def delete(self, caller: Caller, name: str, parameters: Parameters) -> Json:
        """Close a sandbox; its name stays taken. Raises SandboxUnknown, SandboxProtected."""
        sandbox = self._living(caller, name)
        see_not_default(sandbox, "deleted")
        if _only_validated(parameters):
            return _wire(sandbox)
        return _wire(self._sandboxes.close(caller.scope.org_id, name, by=caller))

    def _mine(self, caller: Caller) -> list[Sandbox]:
        org_id = caller.scope.org_id
        standing = self._tenants.standing(caller.principal, org_id)
        return [sandbox for sandbox in self._sandboxes.all(org_id) if standing.uses(sandbox.name)]

    def _one(self, caller: Caller, name: str) -> Sandbox:
        found = next((sandbox for sandbox in self._mine(caller) if sandbox.name == name), None)
        if found is None:
            raise SandboxUnknown(f"No sandbox {shown(name)} exists in the organisation.")
        return found

    def _living(self, caller: Caller, name: str) -> Sandbox:
        sandbox = self._one(caller, name)
        if sandbox.state == "deleted":
            raise SandboxUnknown(f"The sandbox {shown(name)} is deleted.")
        return sandbox


def empty(store: SandboxStore, lake: "Lake", sandbox: Sandbox, *, by: str | Caller) -> Sandbox:
    """Remove all that a sandbox holds, and give it as it was meanwhile. Raises SandboxProtected, SandboxBusy."""
    see_not_default(sandbox, "reset")
    resetting = store.begin_reset(sandbox.org_id, sandbox.name, by=by)
    ends = time.monotonic() + _PATIENCE
    while store.busy(resetting) or not _emptied(store, lake, resetting, by):
        if time.monotonic() > ends:
            raise SandboxBusy(
                f"A run in the sandbox {sandbox.name!r} has not ended yet. Nobody is let in meanwhile; "
                "ask again to finish the reset."
            )
        time.sleep(0.1)
    return resetting


def _emptied(store: SandboxStore, lake: "Lake", sandbox: Sandbox, by: str | Caller) -> bool:
    for table in store.lake_tables(sandbox):
        lake.drop(table)
    return store.finish_reset(sandbox.org_id, sandbox.name, by=by)


def check_new(body: Json) -> tuple[str, str, str]:
    """Name, title and type of a new sandbox. Raises BadSandbox."""
    name, type_ = body.get("name"), body.get("type")
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise BadSandbox(f"name is {shown(name)}; send 1 to 64 small letters, digits and hyphens.")
    if type_ not in _TYPES:
        raise BadSandbox(f"type is {shown(type_)}; send {' or '.join(_TYPES)}.")
    return name, _title(body), type_


def _title(body: Json) -> str:
    title = body.get("title")
    if not isinstance(title, str) or not 1 <= len(title.strip()) <= len(title) <= _LONGEST_TITLE:
        raise BadSandbox(f"title is {shown(title)}; send a text of 1 to {_LONGEST_TITLE} characters.")
    return title


def see_not_default(sandbox: Sandbox, done: str) -> None:
    """Raise SandboxProtected when the sandbox that is to be `done` away with is the default one."""
    if sandbox.is_default:
        raise SandboxProtected(f"The default sandbox {sandbox.name!r} cannot be {done}.")


def _only_validated(parameters: Parameters) -> bool:
    _, single = known_parameters(parameters, ("validationOnly", "ignoreWarnings"))
    truth(single.get("ignoreWarnings"), "ignoreWarnings")  # there are no warnings to ignore
    return truth(single.get("validationOnly"), "validationOnly")


def _page(sandboxes: Sequence[Sandbox], parameters: Parameters) -> Json:
    properties, single = known_parameters(parameters, ("limit", "offset", "property", "orderBy"))
    limit = parse_limit(single.get("limit", "200"))
    begin = whole_number("offset", single.get("offset", "0"))
    query = parse_query(properties, _FIELDS, limit=limit)
    items = [item for item in map(_wire, sandboxes) if all(filter_.holds(item) for filter_ in query.filters)]
    items = _ordered(items, single.get("orderBy"))
    page = items[begin : begin + limit]
    return {
        "sandboxes": page,
        "_page": {"limit": limit, "count": len(page)},
        "_links": _links(begin, limit, len(items)),
    }


def _links(offset: int, limit: int, total: int) -> Json:
    links: Json = {}
    if offset + limit < total:
        links["next"] = {"href": f"/sandboxes?limit={limit}&offset={offset + limit}", "templated": False}
    if offset > 0:
        links["prev"] = {"href": f"/sandboxes?limit={limit}&offset={max(0, offset - limit)}", "templated": False}
    if links:
        links["page"] = {"href": "/sandboxes?limit={limit}&offset={offset}", "templated": True}
    return links


def _ordered(items: list[Json], order: str | None) -> list[Json]:
    if order is None:
        return items
    name = re.sub(r"^(asc:|desc:|[+ -])", "", order)
    if name not in _ORDERS:
        raise BadFilterValue(f"orderBy is {order[:40]!r}; send one of {', '.join(_ORDERS)}, perhaps with - before it.")
    return sorted(items, key=lambda item: _text(item[name]), reverse=order.startswith(("-", "desc:")))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _wire(sandbox: Sandbox) -> Json:
    return {
        "id": sandbox.id,
        "name": sandbox.name,
        "title": sandbox.title,
        "state": sandbox.state,
        "type": sandbox.type,
        "region": "LOCAL",
        "isDefault": sandbox.is_default,
        "eTag": sandbox.version,
        "etag": sandbox.version,
        "createdDate": _time(sandbox.created_at),
        "lastModifiedDate": _time(sandbox.updated_at),
        "createdBy": sandbox.created_by,
        "modifiedBy": sandbox.updated_by,
    }


def _time(milliseconds: int) -> str:
    return datetime.fromtimestamp(milliseconds / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
