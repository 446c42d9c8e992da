"""What all stored resources have in common: listed, read, made, changed, published and deleted in one scope."""

import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import ClassVar, TypeVar

from headgate.errors import (
    BadPatchPath,
    BodyTooLarge,
    CrossSandboxForbidden,
    InvalidRequest,
    ModeNotAllowed,
    NotPublished,
    ResourceBusy,
    SpecImmutable,
    UsedByFlow,
    VersionConflict,
)
from headgate.model import wire
from headgate.model.lifecycle import Op, ResourceState, after, changeable, check_report, read_op, removable
from headgate.model.patch import Operation, apply, parse_patch
from headgate.model.query import Field, Query
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.runs import Json, Run
from headgate.model.scope import Caller
from headgate.service.bodies import check_id, shown
from headgate.service.paging import Listings, Parameters, known_parameters
from headgate.store import InUse, ScopedStore, Store

__all__ = ["AUDIT_FIELDS", "Collection", "Content", "new_resource", "see_published", "touched"]

AUDIT_FIELDS: Mapping[str, Field] = {
    "id": Field("id"),
    "createdAt": Field("created_at", number=True),
    "updatedAt": Field("updated_at", number=True),
    "createdBy": Field("created_by"),
    "updatedBy": Field("updated_by"),
    "createdClient": Field("created_client"),
    "updatedClient": Field("updated_client"),
    "sandboxId": Field("sandbox_id"),
    "imsOrgId": Field("org_id"),
}


Changed = TypeVar("Changed", Resource, Run)
_TRIES = 10  # how often a change is tried again that demands no version, because another came first
_LARGEST = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Content:
    """What a body makes of a resource: `links` are the ids it refers to, `secret` its credentials."""

    name: str
    body: Json
    links: Sequence[str] = ()
    secret: Json | None = None
    frozen: Json = field(default_factory=dict)


class Collection(ABC):
    """One kind of resource. What a body must hold to become one is the subclasses' part.

    `changeable` names the members that a patch may reach.
    """

    kind: ClassVar[Kind]
    fields: ClassVar[Mapping[str, Field]]
    changeable: ClassVar[frozenset[str]]
    in_use: ClassVar[type[InvalidRequest]] = UsedByFlow

    def __init__(self, store: Store, listings: Listings) -> None:
        self._store = store
        self._listings = listings

    def create(self, caller: Caller, body: Json, parameters: Parameters = ()) -> Json:
        """Make a resource of `body`, a draft with `mode=draft`; its id and etag. Raises InvalidRequest, NotFound."""
        store = self._store.scoped(caller)
        _, single = known_parameters(parameters, ("mode",))
        mode = single.get("mode")
        if mode is not None and mode.lower() != ResourceState.DRAFT:
            raise ModeNotAllowed(f"mode is {mode[:40]!r}; send draft, or leave it out.", mode=mode[:40])
        content = self._sketch(store, body) if mode else self._content(store, body)
        state = ResourceState.DRAFT if mode else ResourceState.ENABLED
        resource = new_resource(self.kind, caller, content.name, content.body, state=state.value, frozen=content.frozen)
        store.add(resource, links=content.links, secret=content.secret)
        return wire.created(resource)

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page, newest first, of what matches the query parameters. Raises InvalidRequest."""
        query = self._listings.read(caller.scope, self.kind, parameters, self._fields)
        return self._listed(caller, query, f"/{self.kind}")

    def search(self, caller: Caller, parameters: Parameters, body: Json, *, sandbox_ids: str | None = None) -> Json:
        """One page of what matches the search in `body`.

        `sandbox_ids`, separated by commas, may name no sandbox but the caller's. Raises InvalidRequest.
        """
        if sandbox_ids is not None and {id_.strip() for id_ in sandbox_ids.split(",")} != {caller.scope.sandbox_id}:
            raise CrossSandboxForbidden(
                "x-active-sandbox-ids names other sandboxes; a search reads the one sandbox of the call."
            )
        query = self._listings.read_search(caller.scope, self.kind, parameters, body, self._fields)
        return self._listed(caller, query, f"/{self.kind}/search")

    def get(self, caller: Caller, id_: str) -> Json:
        """The resource with this id. Raises NotFound."""
        store = self._store.scoped(caller)
        [item] = self._shown(store, [store.get(self.kind, check_id(id_, self.kind))])
        return item

    def patch(self, caller: Caller, id_: str, operations: Sequence[object], *, etag: str | None) -> Json:
        """Change a resource as JSON Patch `operations` say: all of them or none. The whole resource, and in `items`.

        `etag` is the version it must have, None for any. The result must be what a creation would accept.
        Raises NotFound, VersionConflict, InvalidRequest.
        """
        parsed = parse_patch(operations)
        for operation in parsed:
            self._check_path(operation)

        last_run = None

        def changed(store: ScopedStore, before: Resource) -> tuple[Resource, Content]:
            nonlocal last_run
            last_run = self._last_runs(store, [before]).get(before.id)  # now: no read may fail once it is stored
            changeable(self.kind, ResourceState(before.state))
            content = self._patched(store, before, parsed)
            if len(json.dumps(content.body)) > _LARGEST:
                raise BodyTooLarge("The resource would be larger than 1 MiB.")
            return before, content

        result = self._change(caller, self._store.scoped(caller), id_, changed, etag)
        return wire.resource_superset(wire.resource(result, last_run))

    def act(
        self, caller: Caller, id_: str, parameters: Parameters, report: Json | None, *, etag: str | None = None
    ) -> Json:
        """Do what `op` says: publish a draft, enable or disable a flow. Its id and new etag.

        `report` is what a provider says of the action. Raises NotFound, VersionConflict, InvalidRequest.
        """
        _, single = known_parameters(parameters, ("op", "subOp"))
        by_service = caller.principal.kind == "service"
        op = read_op(self.kind, single.get("op", ""), single.get("subOp"), by_service=by_service)
        check_report(report or {}, single.get("subOp"))

        def changed(store: ScopedStore, before: Resource) -> tuple[Resource, Content | None]:
            to = after(ResourceState(before.state), op)
            content = self._content(store, self._document(store, before)) if op is Op.PUBLISH else None
            return before.evolve(state=to.value), content

        return wire.created(self._change(caller, self._store.scoped(caller), id_, changed, etag))

    def delete(self, caller: Caller, id_: str) -> None:
        """Remove a resource that no flow uses, and whose state is final. Raises NotFound, InvalidRequest."""
        store = self._store.scoped(caller)
        removable(self.kind, ResourceState(store.get(self.kind, check_id(id_, self.kind)).state))
        unless = None if self.kind is Kind.FLOW else Kind.FLOW
        try:
            store.delete(self.kind, id_, unless_used_by=unless)
        except InUse as error:
            flows = ", ".join(error.users[:3])
            raise self.in_use(f"{self.kind} entry {id_} is used by the flow {flows}.", id=id_) from error

    @abstractmethod
    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:
        """What `body` makes of a resource; `before` is the published one that it changes. Raises InvalidRequest."""

    @abstractmethod
    def _sketch(self, store: ScopedStore, body: Json) -> Content:
        """What `body` makes of a draft, which may lack members. Raises InvalidRequest."""

    def _document(self, store: ScopedStore, before: Resource) -> Json:  # noqa: ARG002 - subclasses use it
        """The body that would make the stored resource once more."""
        return before.body

    def _patched(self, store: ScopedStore, before: Resource, operations: Sequence[Operation]) -> Content:
        body = apply(before.body, operations)
        if before.state == ResourceState.DRAFT:
            return self._sketch(store, body)
        return self._content(store, body, before)

    def _check_path(self, operation: Operation) -> None:
        member = operation.tokens[0]
        if member in ("connectionSpec", "flowSpec"):
            raise SpecImmutable(path=operation.path)
        if member not in self.changeable:
            raise BadPatchPath(
                f"path {shown(operation.path)} names nothing that a request may change here. "
                f"Members: {', '.join(sorted(self.changeable))}.",
                path=operation.path[:80],
            )

    def _change(
        self,
        caller: Caller,
        store: ScopedStore,
        id_: str,
        changed: Callable[[ScopedStore, Resource], tuple[Resource, Content | None]],
        etag: str | None,
    ) -> Resource:
        """Store what `changed` makes of the resource. Without `etag`, a change that came between is judged anew."""
        check_id(id_, self.kind)
        for _ in range(_TRIES):
            before = store.get(self.kind, id_)
            if etag is not None and before.etag != etag:
                raise VersionConflict(id=id_)
            result, content = changed(store, before)
            result = touched(result, caller)
            if content is not None:
                result = result.evolve(name=content.name, body=content.body, frozen=content.frozen)
            try:
                store.update(
                    result,
                    etag=before.etag,
                    links=content.links if content else None,
                    secret=content.secret if content else None,
                )
            except VersionConflict:
                if etag is not None:
                    raise
                continue
            return result
        raise ResourceBusy

    @property
    def _fields(self) -> Mapping[str, Field]:
        return {**AUDIT_FIELDS, **_RESOURCE_FIELDS, **self.fields}

    def _listed(self, caller: Caller, query: Query, address: str) -> Json:
        store = self._store.scoped(caller)
        page = store.list(self.kind, query)
        shown = partial(self._shown, store)
        return self._listings.answer(caller.scope, self.kind, query, page, shown, address=address)

    def _shown(self, store: ScopedStore, items: Sequence[Resource]) -> list[Json]:
        newest = self._last_runs(store, items)
        return [wire.resource(item, newest.get(item.id)) for item in items]

    def _last_runs(self, store: ScopedStore, items: Sequence[Resource]) -> Mapping[str, Run]:  # noqa: ARG002
        """The newest run of each of `items` that has any; only flows have."""
        return {}


def new_resource(
    kind: Kind,
    caller: Caller,
    name: str,
    body: Json,
    *,
    id_: str | None = None,
    frozen: Json | None = None,
    state: str = "enabled",
) -> Resource:
    """A resource that `caller` makes now."""
    present, principal = now_ms(), caller.principal
    return Resource(
        kind=kind,
        id=id_ or str(uuid.uuid4()),
        scope=caller.scope,
        name=name,
        state=state,
        body=body,
        frozen=frozen or {},
        created_at=present,
        updated_at=present,
        created_by=principal.user_id,
        updated_by=principal.user_id,
        created_client=principal.client_id,
        updated_client=principal.client_id,
        etag=new_etag(present),
    )


def see_published(resource: Resource) -> None:
    """See that `resource` is no draft. Raises NotPublished."""
    if resource.state == ResourceState.DRAFT:
        raise NotPublished(
            f"{resource.kind} entry {resource.id} is a draft; publish it first.", id=resource.id, type=resource.kind
        )


def touched(item: Changed, caller: Caller) -> Changed:
    """The resource or run as `caller` leaves it now, under a new version."""
    present, principal = now_ms(), caller.principal
    return replace(
        item,
        updated_at=present,
        updated_by=principal.user_id,
        updated_client=principal.client_id,
        etag=new_etag(present),
    )


_RESOURCE_FIELDS: Mapping[str, Field] = {
    "name": Field("name"),
    "state": Field("state", words=tuple(ResourceState)),
    "description": Field("body.description"),
    "providerId": Field("body.providerId"),
    "connectionSpec.id": Field("body.connectionSpec.id"),
    "connectionSpec.version": Field("body.connectionSpec.version"),
    "attributes": Field("body.attributes", open=True),
    "params": Field("body.params", open=True),
}
