"""OData v4: which entity sets a service has, and what their entities hold, from its own description (CSDL)."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

from headgate.errors import SourceError, SourceObjectMissing
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking

__all__ = ["Model", "about", "stream_about", "streams"]

_NAME = re.compile(r"[^\W\d]\w{0,127}")  # a SimpleIdentifier, the only thing that stands in requests
_COLLECTION = re.compile(r"Collection\((.+)\)")
_PLAIN: Mapping[str, str] = {
    "Boolean": "boolean",
    "Byte": "int",
    "SByte": "int",
    "Int16": "int",
    "Int32": "int",
    "Int64": "long",
    "Single": "double",
    "Double": "double",
    "Date": "date",
    "DateTimeOffset": "timestamptz",
    "String": "string",
    "Guid": "string",
    "Binary": "string",
    "Duration": "string",
    "TimeOfDay": "string",
}
_DEEPEST = 6
_CHANGED = re.compile(r"modif|updat|chang", re.IGNORECASE)


def streams(asking: Asking) -> Sequence[str]:
    """The names of the entity sets."""
    return sorted(_model(asking).sets)


def about(asking: Asking, name: str) -> Mapping[str, Any]:
    """What a manifest would say of the entity set. Raises SourceObjectMissing."""
    model = _model(asking)
    if name not in model.sets:
        raise SourceObjectMissing(f"{asking.title} has no entity set {name[:100]!r}.")
    return stream_about(model, name)


def _model(asking: Asking) -> "Model":
    ask = Ask("GET", f"{asking.base}/$metadata", headers={"Accept": "application/xml"})
    return Model.read(asking.answer(ask).content, asking.title)


class Model:
    """A service's entity sets, and the types that they are made of, by qualified name."""

    def __init__(
        self, sets: Mapping[str, str], types: Mapping[str, ElementTree.Element], aliases: Mapping[str, str]
    ) -> None:
        self.sets, self._types, self._aliases = sets, types, aliases

    @classmethod
    def read(cls, content: bytes, title: str) -> "Model":
        """The model that a `$metadata` document describes. Raises SourceError where it is none of version 4."""
        if b"<!DOCTYPE" in content[:2000] or b"<!ENTITY" in content:
            raise SourceError(f"{title} answered $metadata with a document that declares entities. It is not read.")
        try:
            root = ElementTree.fromstring(content)  # noqa: S314 - what could expand was refused
        except ElementTree.ParseError as error:
            raise SourceError(f"{title} answered $metadata with no XML: {error}.") from None
        version = root.get("Version", "")
        if _local(root) != "Edmx" or not version.startswith("4."):
            raise SourceError(
                f"{title} describes itself as OData {version or 'of no version'}; version 4 is what can be read. "
                "Give the address of a service of version 4, without $metadata."
            )
        schemas = [part for part in root.iter() if _local(part) == "Schema"]
        whole = {schema.get("Alias", ""): schema.get("Namespace", "") for schema in schemas}
        types: dict[str, ElementTree.Element] = {}
        sets: dict[str, str] = {}
        for schema in schemas:
            for part in schema:
                if _local(part) in ("EntityType", "ComplexType", "EnumType", "TypeDefinition"):
                    types[f"{schema.get('Namespace')}.{part.get('Name')}"] = part
        for schema in schemas:
            for container in schema:
                for part in container if _local(container) == "EntityContainer" else ():
                    if _local(part) == "EntitySet" and _NAME.fullmatch(part.get("Name", "")):
                        sets[part.get("Name", "")] = _unaliased(part.get("EntityType", ""), whole)
        return cls(sets, types, whole)

    def properties(self, type_: str) -> Iterator[ElementTree.Element]:
        """The structural properties of a type, those that it inherits first."""
        for element in self._lineage(type_):
            for part in element:
                if _local(part) == "Property" and _NAME.fullmatch(part.get("Name", "")):
                    yield part

    def key(self, type_: str) -> list[str]:
        """The names of the properties that tell entities apart."""
        for element in self._lineage(type_):
            for part in element:
                if _local(part) == "Key":
                    return [reference.get("Name", "") for reference in part if _local(reference) == "PropertyRef"]
        return []

    def lake_type(self, part: ElementTree.Element, depth: int = 0) -> str | None:
        """The lake type of a property, in a manifest's words; None where its values are only held as JSON."""
        return self._type(part.get("Type", "Edm.String"), part, depth)

    def _type(self, name: str, part: ElementTree.Element, depth: int) -> str | None:
        if found := _COLLECTION.fullmatch(name):
            element = self._type(found[1], part, depth)
            return f"list<{element}>" if element else None
        if name.startswith("Edm."):
            return _decimal(part) if name == "Edm.Decimal" else _PLAIN.get(name.removeprefix("Edm."))
        name = _unaliased(name, self._aliases)
        element_of = self._types.get(name)
        match _local(element_of) if element_of is not None else None:
            case "EnumType":
                return "string"
            case "TypeDefinition" if element_of is not None:
                return self._type(element_of.get("UnderlyingType", "Edm.String"), element_of, depth)
            case "ComplexType" if depth < _DEEPEST:
                return self._struct(name, depth)
        return None

    def _struct(self, name: str, depth: int) -> str | None:
        members = {}
        for part in self.properties(name):
            found = self.lake_type(part, depth + 1)
            if found is None:
                return None  # a part that only JSON can hold: the whole is held so
            members[part.get("Name", "")] = found
        if not members or len({member.lower() for member in members}) != len(members):
            return None
        return "struct<" + ", ".join(f"{member}: {found}" for member, found in members.items()) + ">"

    def _lineage(self, type_: str) -> list[ElementTree.Element]:
        found: list[ElementTree.Element] = []
        while type_ in self._types and self._types[type_] not in found:
            found.insert(0, self._types[type_])
            type_ = _unaliased(found[0].get("BaseType", ""), self._aliases)
        return found


def stream_about(model: Model, name: str) -> dict[str, Any]:
    """What a manifest would say of the entity set `name`.

    Every property that holds times can be the delta column; the first is the one that sounds like a change.
    """
    type_ = model.sets[name]
    columns: dict[str, Any] = {}
    for part in model.properties(type_):
        if part.get("Type") == "Edm.Stream":
            continue
        found = model.lake_type(part)
        columns[part.get("Name", "")] = found if found else {"type": "string", "read": "json"}
    times = [column for column, said in columns.items() if said in ("timestamptz", "date")]
    key = model.key(type_)
    return {
        "title": name,
        "request": {"path": f"/{quote(name)}", "query": {"$select": "{columns}"}},
        "records": "value",
        "paging": {"kind": "link", "from": "'@odata.nextLink'", "empty": "goes_on"},
        "split": {"by": "time", "at_least": "1h"},
        "windows": {
            column: _window(column, day=columns[column] == "date")
            for column in sorted(times, key=lambda column: _CHANGED.search(column) is None)
        },
        "key": key if all(part in columns for part in key) else [],
        "columns": columns,
    }


def _window(column: str, *, day: bool) -> dict[str, Any]:
    written = "date" if day else "iso_ms"
    condition = f"{column} ge {{window.start|{written}}} and {column} lt {{window.end|{written}}}"
    return {"query": {"$filter": condition}, "grain": "day" if day else "ms", "sides": "both"}


def _decimal(part: ElementTree.Element) -> str:
    """A decimal of the digits that the service announces; of 38, ten of them after the point, where it does not."""
    precision, scale = part.get("Precision", ""), part.get("Scale", "")
    if precision.isdigit() and scale.isdigit() and int(scale) <= int(precision) <= 38 and int(precision) > 0:
        return f"decimal({precision},{scale})"
    return "decimal(38,10)"


def _unaliased(name: str, aliases: Mapping[str, str]) -> str:
    space, _, last = name.rpartition(".")
    return f"{aliases[space]}.{last}" if space in aliases and space else name


def _local(element: ElementTree.Element) -> str:
    return element.tag.rpartition("}")[2]
