"""What all stored resources have in common: listed, read, made and deleted in one scope."""

import uuid
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from typing import ClassVar

from headgate.errors import InvalidRequest, UsedByFlow
from headgate.model.query import Field
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service import wire
from headgate.service.bodies import check_id
from headgate.service.paging import Listings, Parameters
from headgate.store import InUse, ScopedStore, Store

__all__ = ["AUDIT_FIELDS", "Collection", "new_resource"]

AUDIT_FIELDS: Mapping[str, Field] = {
    "id": Field("id"),
    "createdAt": Field("created_at", number=True),
    "updatedAt": Field("updated_at", number=True),
    "createdBy": Field("created_by"),
    "updatedBy": Field("updated_by"),
    "createdClient": Field("created_client"),
    "updatedClient": Field("updated_client"),
}


class Collection(ABC):
    """One kind of resource. What a body must hold to become one is the subclasses' part."""

    kind: ClassVar[Kind]
    fields: ClassVar[Mapping[str, Field]]
    in_use: ClassVar[type[InvalidRequest]] = UsedByFlow

    def __init__(self, store: Store, listings: Listings) -> None:
        self._store = store
        self._listings = listings

    def create(self, caller: Caller, body: Json) -> Json:
        """Make a resource of `body` and give its id and etag. Raises InvalidRequest, NotFound."""
        store = self._store.scoped(caller)
        resource, links, secret = self._read(caller, store, body)
        store.add(resource, links=links, secret=secret)
        return wire.created(resource)

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page, newest first, of what matches the query parameters. Raises InvalidRequest."""
        store = self._store.scoped(caller)
        fields = {**AUDIT_FIELDS, **_RESOURCE_FIELDS, **self.fields}
        query = self._listings.read(caller.scope, self.kind, parameters, fields)
        page = store.list(self.kind, query)
        return self._listings.answer(caller.scope, self.kind, query, page, lambda items: self._shown(store, items))

    def get(self, caller: Caller, id_: str) -> Json:
        """The resource with this id. Raises NotFound."""
        store = self._store.scoped(caller)
        [item] = self._shown(store, [store.get(self.kind, check_id(id_, self.kind))])
        return item

    def delete(self, caller: Caller, id_: str) -> None:
        """Remove a resource that no flow uses. Raises NotFound, and `in_use`."""
        store = self._store.scoped(caller)
        unless = None if self.kind is Kind.FLOW else Kind.FLOW
        try:
            store.delete(self.kind, check_id(id_, self.kind), unless_used_by=unless)
        except InUse as error:
            flows = ", ".join(error.users[:3])
            raise self.in_use(f"{self.kind} entry {id_} is used by the flow {flows}.", id=id_) from error

    @abstractmethod
    def _read(self, caller: Caller, store: ScopedStore, body: Json) -> tuple[Resource, Iterable[str], Json | None]:
        """The resource that `body` describes, the ids it refers to, and its credentials."""

    def _shown(self, store: ScopedStore, items: Sequence[Resource]) -> list[Json]:  # noqa: ARG002
        return [wire.resource(item) for item in items]


def new_resource(
    kind: Kind, caller: Caller, name: str, body: Json, *, id_: str | None = None, frozen: Json | None = None
) -> Resource:
    """A resource that `caller` makes now, in the state `enabled`."""
    present, principal = now_ms(), caller.principal
    return Resource(
        kind=kind,
        id=id_ or str(uuid.uuid4()),
        scope=caller.scope,
        name=name,
        state="enabled",
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


_RESOURCE_FIELDS: Mapping[str, Field] = {
    "name": Field("name"),
    "state": Field("state", folded=True),
    "description": Field("body.description"),
    "connectionSpec.id": Field("body.connectionSpec.id"),
    "connectionSpec.version": Field("body.connectionSpec.version"),
}
