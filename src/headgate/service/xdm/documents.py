"""Registry documents: JSON Schema with XDM's own members. Pure functions on them."""

import copy
import re
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from headgate.errors import BadSchema
from headgate.model.runs import Json

__all__ = ["NAMESPACE", "alt_id", "check_fields", "flattened", "references", "resolved", "typed", "without_text"]

NAMESPACE = "https://ns.adobe.com"  # clients look for ids below this one only
_NAME = re.compile(r"_?[A-Za-z0-9][A-Za-z0-9_-]*")
_MOST_FIELDS = 10_000
_DEEPEST = 40
_NAMED, _ALONE, _LISTED = ("properties", "definitions"), ("items", "additionalProperties"), ("allOf", "anyOf", "oneOf")
_TEXTS = ("title", "description", "meta:titleId", "meta:descriptionId")


def alt_id(id_: str) -> str:
    """The `meta:altId` of a `$id`: without scheme and host, its parts joined by dots."""
    return "_" + id_.removeprefix("https://").partition("/")[2].replace("/", ".")


def references(node: Any) -> Iterator[str]:
    """Every `$ref` to another document, wherever it is in `node`."""
    for inner in _nodes(node):
        ref = inner.get("$ref")
        if isinstance(ref, str) and not ref.startswith("#"):
            yield ref


def check_fields(document: Mapping[str, Any]) -> None:
    """See that fields have names that can be mapped to and every `$ref` inside leads somewhere. Raises BadSchema."""
    for node in _nodes(document):
        properties = node.get("properties", {})
        if not isinstance(properties, Mapping) or not all(isinstance(field, Mapping) for field in properties.values()):
            raise BadSchema("`properties` is an object whose members are objects.")
        for name in properties:
            if not _NAME.fullmatch(name):
                raise BadSchema(
                    f"The field {name[:80]!r} has a name with other characters than letters, digits, - and _."
                )
        ref = node.get("$ref")
        if ref is not None and not isinstance(ref, str):
            raise BadSchema(f"`$ref` is {repr(ref)[:80]}; send a text.")
        if isinstance(ref, str) and ref.startswith("#"):
            _inside(document, ref)
        parts = node.get("allOf", [])
        if not isinstance(parts, list) or not all(isinstance(part, Mapping) for part in parts):
            raise BadSchema("`allOf` is a list of objects.")


def typed(node: Any) -> Any:
    """A copy of the schema `node` in which every field says its `meta:xdmType`."""
    return _with_type(_within(node, typed)) if isinstance(node, Mapping) else node


def resolved(document: Mapping[str, Any], lookup: Callable[[str], Mapping[str, Any]]) -> Json:
    """`document` with all it refers to in its place: no `$ref`, `allOf` or `definitions` is left.

    Raises BadSchema for a document that refers to itself or grows past 10 000 fields, and what `lookup` raises.
    """
    return _Resolver(lookup).whole(document, document, 0)


def flattened(document: Mapping[str, Any]) -> Json:
    """A resolved document whose fields are one object, named by their paths joined with `/`."""
    fields: Json = {}

    def walk(properties: Mapping[str, Any], before: str) -> None:
        for name, field in properties.items():
            holder = field.get("items", field) if field.get("type") == "array" else field
            if inner := holder.get("properties"):
                walk(inner, f"{before}{name}/")
            else:
                fields[f"{before}{name}"] = field

    walk(document.get("properties", {}), "")
    return {**document, "properties": fields}


def without_text(node: Any) -> Any:
    """A copy of the schema `node` without titles and descriptions."""
    if not isinstance(node, Mapping):
        return node
    return {name: value for name, value in _within(node, without_text).items() if name not in _TEXTS}


class _Resolver:
    """Puts documents together, with an end to it."""

    def __init__(self, lookup: Callable[[str], Mapping[str, Any]]) -> None:
        self._lookup = cache(lookup)
        self._fields = 0

    def whole(self, node: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> Json:
        """`node` of the document `root`, with all it refers to."""
        self._fields += 1
        if depth > _DEEPEST or self._fields > _MOST_FIELDS:
            raise BadSchema(
                f"The schema refers to itself, or has more than {_MOST_FIELDS} fields or {_DEEPEST} levels with all "
                "it refers to."
            )
        made: Json = {}
        if isinstance(ref := node.get("$ref"), str):
            if ref.startswith("#"):
                made = self.whole(_inside(root, ref), root, depth + 1)
            else:
                found = self._lookup(ref)
                made = self.whole(found, found, depth + 1)
                if node is not root:
                    made = {name: value for name, value in made.items() if name not in _OWN}
                    made["meta:referencedFrom"] = ref
        for part in node.get("allOf", ()):
            made = _joined(made, self.whole(part, root, depth + 1), keep=False)
        own = {name: value for name, value in node.items() if name not in ("$ref", "allOf", "definitions")}
        if isinstance(properties := own.get("properties"), Mapping):
            own["properties"] = {name: self.whole(field, root, depth + 1) for name, field in properties.items()}
        for name in ("items", "additionalProperties"):
            if isinstance(own.get(name), Mapping):
                own[name] = self.whole(own[name], root, depth + 1)
        return _joined(made, own, keep=True)


_OWN = ("$id", "meta:altId", "meta:resourceType", "version", "meta:extends", "meta:abstract", "meta:extensible",
        "meta:containerId", "meta:intendedToExtend", "title", "description")  # fmt: skip
"""What a document says of itself, not of the field that refers to it."""


def _joined(first: Json, second: Json, *, keep: bool) -> Json:
    """Two schemas that both hold; with `keep`, also what `second` says of itself."""
    made = copy.copy(first)
    for name, value in second.items():
        if name == "properties":
            fields = dict(made.get("properties", {}))
            for field, schema in value.items():
                fields[field] = _joined(fields[field], schema, keep=True) if field in fields else schema
            made["properties"] = fields
        elif name == "required" and isinstance(value, list):
            made["required"] = sorted({*made.get("required", ()), *map(str, value)})
        elif keep or name not in (*_OWN, "meta:referencedFrom", "meta:tenantNamespace"):
            made[name] = value
    return made


def _inside(root: Mapping[str, Any], ref: str) -> Mapping[str, Any]:
    node: Any = root
    for token in ref.removeprefix("#").removeprefix("/").split("/"):
        node = node.get(token.replace("~1", "/").replace("~0", "~")) if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        raise BadSchema(f"`$ref` {ref[:80]!r} leads nowhere in the document.")
    return node


def _within(node: Mapping[str, Any], change: Callable[[Any], Any]) -> Json:
    """A copy of a schema with every schema directly inside it changed."""
    made = dict(node)
    for name in _NAMED:
        if isinstance(made.get(name), Mapping):
            made[name] = {key: change(value) for key, value in made[name].items()}
    for name in _ALONE:
        if isinstance(made.get(name), Mapping):
            made[name] = change(made[name])
    for name in _LISTED:
        if isinstance(made.get(name), list):
            made[name] = [change(value) for value in made[name]]
    return made


def _nodes(node: Any) -> Iterator[Mapping[str, Any]]:
    """The schema `node` and every schema inside it."""
    if not isinstance(node, Mapping):
        return
    yield node
    inner: list[Any] = []
    for name in _NAMED:
        if isinstance(node.get(name), Mapping):
            inner += node[name].values()
    inner += [node.get(name) for name in _ALONE]
    for name in _LISTED:
        if isinstance(node.get(name), list):
            inner += node[name]
    for schema in inner:
        yield from _nodes(schema)


def _with_type(field: Json) -> Json:
    if "meta:xdmType" in field or not isinstance(field.get("type"), str):
        return field
    xdm = field["type"]
    match xdm:
        case "string" if field.get("format") in ("date", "date-time"):
            xdm = field["format"]
        case "integer":
            xdm = _integer(field)
        case "object" if isinstance(field.get("additionalProperties"), dict) and not field.get("properties"):
            xdm = "map"
    return {**field, "meta:xdmType": xdm}


def _integer(field: Json) -> str:
    least, most = field.get("minimum"), field.get("maximum")
    if not isinstance(least, int) or not isinstance(most, int):
        return "int" if least is None and most is None else "long"
    for name, bound in (("byte", 128), ("short", 32768), ("int", 2147483648)):
        if -bound <= least and most <= bound:
            return name
    return "long"
