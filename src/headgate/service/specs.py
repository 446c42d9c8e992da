"""The catalogue of connection specs and flow specs, and beside it those that an organisation describes itself."""

import json
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from headgate.errors import (
    BadGrouping,
    BodyTooLarge,
    NotFound,
    SourceNotOnDemand,
    SpecOfCatalogue,
    SpecsForbidden,
    TooManySpecs,
    UnknownField,
    UnknownSpec,
    UnknownSpecField,
)
from headgate.model.permissions import Permission
from headgate.model.query import NEWEST_FIRST, Field, Query, parse_query
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import shown
from headgate.service.custom_specs import connection_spec_of, flow_spec_of
from headgate.service.paging import Listings, Parameters, known_parameters, projected
from headgate.sources import ConnectionSpec, FlowSpec, connection_specs, flow_specs
from headgate.store import Page, ScopedStore, Store

__all__ = ["Specs", "connection_spec", "flow_spec"]

_FIELDS = {
    **{name: Field(name) for name in ("id", "name", "providerId", "version", "type")},
    **{
        name: Field(name, open=True)
        for name in (
            "attributes",
            "authSpec",
            "encryptionSpecs",
            "exploreSpec",
            "optionSpec",
            "permissionsInfo",
            "runSpec",
            "scheduleSpec",
            "sourceConnectionSpecIds",
            "sourceSpec",
            "targetConnectionSpecIds",
            "targetSpec",
            "transformationSpec",
        )
    },
}


_CONNECTIONS, _FLOWS = "connectionSpecs", "flowSpecs"
_LARGEST = 64 * 1024
_MOST = 500


class Specs:
    """One of the two lists of specs: the catalogue's, then those of the caller's organisation.

    `name` is its collection's: connectionSpecs or flowSpecs.
    """

    def __init__(
        self, name: str, specs: Sequence[ConnectionSpec] | Sequence[FlowSpec], store: Store, listings: Listings
    ) -> None:
        self._name = name
        self._specs = specs
        self._store = store
        self._listings = listings

    def create(self, caller: Caller, body: Json) -> Json:
        """Describe a spec of the caller's organisation, which is listed and never run; the spec.

        Raises SpecsForbidden, PermissionDenied, InvalidRequest.
        """
        _see_allowed(caller)
        store = self._store.scoped(caller)
        if len(store.specs(self._name)) >= _MOST:
            raise TooManySpecs
        spec = self._read(body, str(uuid.uuid4()))
        store.put_spec(self._name, spec)
        return spec

    def put(self, caller: Caller, id_: str, body: Json) -> Json:
        """Describe a spec of the caller's organisation anew; the spec. Raises NotFound and what `create` raises."""
        _see_allowed(caller)
        if any(spec.id == id_ for spec in self._specs):
            raise SpecOfCatalogue(id=id_)
        store = self._store.scoped(caller)
        if store.spec(self._name, id_) is None:
            raise self._unknown(id_)
        spec = self._read(body, id_)
        store.put_spec(self._name, spec)
        return spec

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """All specs that match the `property` filters; not paged. Raises InvalidRequest."""
        properties, _ = known_parameters(parameters, ("property",))
        with _of_specs():
            query = parse_query(properties, _FIELDS)
        return {"items": projected(self._matching(caller, query), query.projection), "_links": {}}

    def search(self, caller: Caller, parameters: Parameters, body: Json) -> Json:
        """One page of the specs that match the search in `body`.

        With `groupByProperty` those that are equal in that property follow one another. Raises InvalidRequest.
        """
        group = body.get("groupByProperty")
        if not (group is None or (isinstance(group, str) and group in _FIELDS and not _FIELDS[group].open)):
            texts = ", ".join(name for name, field in _FIELDS.items() if not field.open)
            raise BadGrouping(f"groupByProperty is {shown(group)}; send one of {texts}.", field=shown(group))
        of = f"{self._name}/search:{group or ''}"  # a continuation token goes on with the grouping it was given for
        with _of_specs():
            query = self._listings.read_search(caller.scope, of, parameters, body, _FIELDS, extra=("groupByProperty",))
        items, order = self._matching(caller, query), query.order
        if order != NEWEST_FIRST:
            items.sort(key=lambda item: str(item.get(order.field.column) or ""), reverse=not order.ascending)
        if group is not None:
            found = list(dict.fromkeys(item.get(group) for item in items))
            items.sort(key=lambda item: found.index(item.get(group)))
        begin = query.after[1] if query.after else 0
        end = begin + query.limit
        page = Page(tuple(items[begin:end]), (None, end) if end < len(items) else None, len(items))
        return self._listings.answer(caller.scope, of, query, page, list, address=f"/{self._name}/search")

    def get(self, caller: Caller, id_: str) -> Json:
        """One spec, in `items` and beside it. Raises NotFound."""
        wire = next((spec.wire for spec in self._specs if spec.id == id_), None)
        wire = wire or self._store.scoped(caller).spec(self._name, id_)
        if wire is None:
            raise self._unknown(id_)
        return {**wire, "items": [wire], "_links": {}}

    def _matching(self, caller: Caller, query: Query) -> list[Json]:
        wires = [*(spec.wire for spec in self._specs), *self._store.scoped(caller).specs(self._name)]
        return [item for item in wires if all(filter_.holds(item) for filter_ in query.filters)]

    def _read(self, body: Json, id_: str) -> Json:
        spec = (connection_spec_of if self._name == _CONNECTIONS else flow_spec_of)(body, id_)
        if len(json.dumps(spec)) > _LARGEST:
            raise BodyTooLarge(f"The spec is larger than {_LARGEST // 1024} KiB.")
        return spec

    def _unknown(self, id_: str) -> NotFound:
        return NotFound(f"No {self._name} entry {shown(id_)} exists.", id=id_[:80], type=self._name)


def connection_spec(id_: str, store: ScopedStore | None = None) -> ConnectionSpec:
    """The connection spec with this id: the catalogue's, or with `store` its organisation's. Raises UnknownSpec."""
    for spec in connection_specs():
        if spec.id == id_:
            return spec
    if store is not None and (stored := store.spec(_CONNECTIONS, id_)) is not None:
        return ConnectionSpec.custom(stored)
    raise UnknownSpec(f"No connection spec has the id {shown(id_)}. GET /connectionSpecs lists them.")


def flow_spec(id_: str, store: ScopedStore) -> FlowSpec:
    """The flow spec with this id. Raises UnknownSpec, and SourceNotOnDemand for one that is only listed."""
    for spec in flow_specs():
        if spec.id == id_ and not spec.runnable:
            raise SourceNotOnDemand(f"{spec.name} is listed in the catalogue, but this version runs no such flow.")
        if spec.id == id_:
            return spec
    if (stored := store.spec(_FLOWS, id_)) is not None:
        raise SourceNotOnDemand(f"The flow spec {shown(stored['name'])} is only described; no flow runs by it.", id=id_)
    raise UnknownSpec(f"No flow spec has the id {shown(id_)}. GET /flowSpecs lists them.")


@contextmanager
def _of_specs() -> Iterator[None]:
    """Turn an unknown field into the one of specs, which has a code of its own."""
    try:
        yield
    except UnknownField as error:
        raise UnknownSpecField(error.detail, **error.report) from error


def _see_allowed(caller: Caller) -> None:
    if caller.principal.kind == "user" and Permission.MANAGE_SPECS not in caller.permissions:
        raise SpecsForbidden
    caller.require(Permission.MANAGE_SPECS)
