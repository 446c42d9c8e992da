"""The catalogue of connection specs and flow specs, as the API shows it."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.errors import NotFound, UnknownSpec
from headgate.model.query import Field, Filter, parse_query
from headgate.model.runs import Json
from headgate.service.bodies import shown
from headgate.service.paging import Parameters, known_parameters, projected
from headgate.sources import ConnectionSpec, FlowSpec, connection_specs, flow_specs

__all__ = ["Specs", "connection_spec", "flow_spec"]

_FIELDS = {
    name: Field(name, folded=folded)
    for name, folded in {
        "id": False,
        "name": False,
        "providerId": False,
        "version": False,
        "attributes.category": False,
        "attributes.connectorName": False,
        "attributes.frequency": True,
        "attributes.isSource": True,
        "attributes.isSourceFlow": True,
        "attributes.status": True,
    }.items()
}


class Specs:
    """One of the two lists of specs. `name` is its collection's: connectionSpecs or flowSpecs."""

    def __init__(self, name: str, specs: Sequence[ConnectionSpec] | Sequence[FlowSpec]) -> None:
        self._name = name
        self._specs = specs

    def listing(self, parameters: Parameters) -> Json:
        """All specs that match the `property` filters; not paged."""
        properties, _ = known_parameters(parameters, ("property",))
        query = parse_query(properties, _FIELDS)
        items = [
            item
            for item in (spec.wire for spec in self._specs)
            if all(_matches(item, filter_) for filter_ in query.filters)
        ]
        return {"items": projected(items, query.projection), "_links": {}}

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


def _matches(item: Mapping[str, Any], filter_: Filter) -> bool:
    value: Any = item
    for part in filter_.column.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    found, values = str(value), [str(wanted) for wanted in filter_.values]
    if filter_.folded:
        found, values = found.lower(), [wanted.lower() for wanted in values]
    return (found in values) == (filter_.op == "==")
