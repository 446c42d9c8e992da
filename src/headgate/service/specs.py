"""The catalogue of connection specs and flow specs, as the API shows it."""

from collections.abc import Sequence

from headgate.errors import BadGrouping, NotFound, UnknownSpec
from headgate.model.query import Field, Query, parse_limit, parse_order, parse_query
from headgate.model.runs import Json
from headgate.service.bodies import shown
from headgate.service.paging import SINGLE, Parameters, known_parameters, projected, searched, truth
from headgate.sources import ConnectionSpec, FlowSpec, connection_specs, flow_specs

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


class Specs:
    """One of the two lists of specs. `name` is its collection's: connectionSpecs or flowSpecs."""

    def __init__(self, name: str, specs: Sequence[ConnectionSpec] | Sequence[FlowSpec]) -> None:
        self._name = name
        self._specs = specs

    def listing(self, parameters: Parameters) -> Json:
        """All specs that match the `property` filters; not paged. Raises InvalidRequest."""
        properties, _ = known_parameters(parameters, ("property",))
        query = parse_query(properties, _FIELDS)
        return {"items": projected(self._matching(query), query.projection), "_links": {}}

    def search(self, parameters: Parameters, body: Json) -> Json:
        """All specs that match the search in `body`, up to its limit.

        With `groupByProperty` those that are equal in that property follow one another. Raises InvalidRequest.
        """
        known_parameters(parameters, ())
        group = body.get("groupByProperty")
        if not (group is None or (isinstance(group, str) and group in _FIELDS and not _FIELDS[group].open)):
            texts = ", ".join(name for name, field in _FIELDS.items() if not field.open)
            raise BadGrouping(f"groupByProperty is {shown(group)}; send one of {texts}.", field=shown(group))
        properties, single = known_parameters(searched(body, "groupByProperty"), ("property", *SINGLE))
        query = parse_query(properties, _FIELDS, limit=parse_limit(single.get("limit")))
        order = parse_order(single.get("orderby"), _FIELDS) if single.get("orderby") else None
        items = self._matching(query)
        if truth(single.get("count"), "count"):
            return {"count": len(items)}
        if order is not None:
            items.sort(key=lambda item: str(item.get(order.field.column) or ""), reverse=not order.ascending)
        if group is not None:
            found = list(dict.fromkeys(item.get(group) for item in items))
            items.sort(key=lambda item: found.index(item.get(group)))
        return {"items": projected(items[: query.limit], query.projection), "_links": {}}

    def _matching(self, query: Query) -> list[Json]:
        wires = (spec.wire for spec in self._specs)
        return [item for item in wires if all(filter_.holds(item) for filter_ in query.filters)]

    def get(self, id_: str) -> Json:
        """One spec, in `items` and beside it. Raises NotFound."""
        for spec in self._specs:
            if spec.id == id_:
                return {**spec.wire, "items": [spec.wire], "_links": {}}
        raise NotFound(f"No {self._name} entry {shown(id_)} exists.", id=id_[:80], type=self._name)


def connection_spec(id_: str) -> ConnectionSpec:
    """The connection spec with this id. Raises UnknownSpec."""
    for spec in connection_specs():
        if spec.id == id_:
            return spec
    raise UnknownSpec(f"No connection spec has the id {shown(id_)}. GET /connectionSpecs lists them.")


def flow_spec(id_: str) -> FlowSpec:
    """The flow spec with this id. Raises UnknownSpec."""
    for spec in flow_specs():
        if spec.id == id_:
            return spec
    raise UnknownSpec(f"No flow spec has the id {shown(id_)}. GET /flowSpecs lists them.")
