"""A schema made from what a source connection reads, with the mapping set that fills it."""

import re
from collections.abc import Sequence

from headgate.errors import BadSchema
from headgate.mapping import written_path
from headgate.model.lake import PROVENANCE, Column, LakeType
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import text
from headgate.service.exploring import Exploring
from headgate.service.mapping_sets import MappingSets
from headgate.service.registry import Registry, tenant_id
from headgate.service.xdm import RECORD

__all__ = ["SchemaImport", "fields_of"]

_PLAIN: dict[str, Json] = {
    "boolean": {"type": "boolean"},
    "int": {"type": "integer", "meta:xdmType": "int"},
    "long": {"type": "integer", "meta:xdmType": "long"},
    "float": {"type": "number"},
    "double": {"type": "number"},
    "string": {"type": "string"},
    "time": {"type": "string"},
    "uuid": {"type": "string"},
    "date": {"type": "string", "format": "date"},
    "timestamp": {"type": "string", "format": "date-time"},
    "timestamptz": {"type": "string", "format": "date-time"},
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")


class SchemaImport:
    """Makes a field group, a schema and a mapping set of the columns of a source connection, in one call."""

    def __init__(self, registry: Registry, mapping_sets: MappingSets, exploring: Exploring) -> None:
        self._registry = registry
        self._mapping_sets = mapping_sets
        self._exploring = exploring

    def create(self, caller: Caller, source_id: str, body: Json) -> Json:
        """The schema, whole, with `mappingSet`, which fills it, and the columns `leftOut`, which it cannot express.

        `title` in `body` is its title; that of the source connection when absent. Raises NotFound, BadSchema,
        PermissionDenied, and what the source refuses.
        """
        caller.require(Permission.MANAGE_SOURCES)  # a mapping set is made, too
        name, columns = self._exploring.columns(caller, source_id)
        title = text(body, "title") or name
        fields, paths, left_out = fields_of([column for column in columns if column.name not in PROVENANCE])
        if not fields:
            raise BadSchema(f"No column of the source connection {name!r} can be expressed in a schema.")
        space = f"_{tenant_id(caller.scope)}"
        group = self._registry.create(
            caller,
            "tenant",
            "fieldgroups",
            {
                "title": f"{title} fields",
                "type": "object",
                "meta:intendedToExtend": [RECORD],
                "definitions": {
                    "customFields": {"type": "object", "properties": {space: {"type": "object", "properties": fields}}}
                },
                "allOf": [{"$ref": "#/definitions/customFields", "type": "object"}],
            },
        )
        parts = [{"$ref": ref, "type": "object"} for ref in (RECORD, group["$id"])]
        schema = self._registry.create(caller, "tenant", "schemas", {"title": title, "type": "object", "allOf": parts})
        mapping_set = self._mapping_sets.create(
            caller,
            {
                "name": title,
                "outputSchema": {"schemaRef": {"id": schema["$id"]}},
                "mappings": [
                    {"sourceType": "ATTRIBUTE", "source": path, "destination": f"{space}.{field}"}
                    for field, path in paths.items()
                ],
            },
        )
        return {**schema, "mappingSet": {name: mapping_set[name] for name in ("id", "version")}, "leftOut": left_out}


def fields_of(columns: Sequence[Column]) -> tuple[Json, dict[str, str], list[str]]:
    """The fields that express `columns`, the path each is filled from, and the columns that none can express.

    A name takes `_` for what no field's name may hold, and a number when another column's has become the same.
    """
    fields: Json = {}
    paths: dict[str, str] = {}
    left_out = []
    for column in columns:
        about = _field(column.type)
        if about is None:
            left_out.append(column.name)
            continue
        stem = re.sub(r"[^A-Za-z0-9_-]", "_", column.name).lstrip("_-") or "field"
        taken = {name.lower() for name in fields}
        name = next(n for n in (stem, *(f"{stem}_{k}" for k in range(2, len(columns) + 2))) if n.lower() not in taken)
        fields[name] = {"title": column.name, **about}
        paths[name] = written_path((column.name,))
    return fields, paths, left_out


def _field(type_: LakeType) -> Json | None:
    """How a schema says `type_`; None when it cannot."""
    if type_.kind == "decimal":
        return {"type": "number", "meta:sourceType": str(type_)}
    if type_.element is not None:
        items = _field(type_.element)
        return {"type": "array", "items": items} if items is not None else None
    if type_.kind == "struct":
        inner = {name: _field(member) for name, member in type_.fields}
        if not inner or not all(about is not None and _NAME.fullmatch(name) for name, about in inner.items()):
            return None
        return {"type": "object", "properties": inner}
    return dict(_PLAIN[type_.kind]) if type_.kind in _PLAIN else None
