"""Reading the specs that an organisation describes itself: listed beside the catalogue, never runnable.

Their JSON Schemas are seen to be schemas, and tell which parameters are secrets. Nothing is judged by them: a schema
from outside may refer to other addresses, and may take a very long time.
"""

from collections.abc import Mapping
from typing import Any

from jsonschema import Draft7Validator
from jsonschema.exceptions import SchemaError

from headgate.errors import BadParameter, ParameterMissing
from headgate.model.runs import Json
from headgate.service.bodies import objects, optional_object, required_name, shown, text, texts

__all__ = ["connection_spec_of", "flow_spec_of"]

_MOST = 100
_KEPT = ("settings", "entitlementInfo", "policy", "permissionsInfo")
_TRANSFORMATIONS = ("transformationSpec", "transformationSpecs", "transformationSpecDTOS")


def connection_spec_of(body: Json, id_: str) -> Json:
    """The connection spec `id_` that `body` describes, as it is answered. Raises ParameterMissing, BadParameter."""
    spec = {**_head(body, id_), "authSpec": _parts(body, "authSpec")}
    if encryption := _parts(body, "encryptionSpecs"):
        spec["encryptionSpecs"] = encryption
    for name in ("sourceSpec", "targetSpec", "exploreSpec"):
        if body.get(name) is not None:
            spec[name] = _part(optional_object(body, name), name)
    return {**spec, **_tail(body, isSource="targetSpec" not in spec or "sourceSpec" in spec)}


def flow_spec_of(body: Json, id_: str) -> Json:
    """The flow spec `id_` that `body` describes, as it is answered. Raises ParameterMissing, BadParameter."""
    spec = _head(body, id_)
    for name in ("sourceConnectionSpecIds", "targetConnectionSpecIds"):
        spec[name] = texts(body, name, most=_MOST)
    for name in ("optionSpec", "scheduleSpec", "runSpec"):
        if body.get(name) is not None:
            spec[name] = _part(optional_object(body, name), name)
    given = next((name for name in _TRANSFORMATIONS if body.get(name) is not None), _TRANSFORMATIONS[0])
    transformations = _parts(body, given)
    return {**spec, "transformationSpec": transformations, "transformationSpecs": transformations, **_tail(body)}


def _head(body: Json, id_: str) -> Json:
    provider = text(body, "providerId")
    if not provider:
        raise ParameterMissing("providerId is missing or empty.", parameter="providerId")
    head: Json = {"id": id_, "name": required_name(body), "providerId": provider, "version": "1.0"}
    if (kind := text(body, "type")) is not None:
        head["type"] = kind
    if (description := text(body, "description")) is not None:
        head["description"] = description
    return head


def _tail(body: Json, **attributes: Any) -> Json:
    kept = {name: body[name] for name in _KEPT if body.get(name) is not None}
    about = {**attributes, **optional_object(body, "attributes"), "status": "listed", "publicId": False}
    return {**kept, "attributes": about}


def _parts(body: Json, name: str) -> list[Json]:
    value = objects(body, name, most=_MOST)
    for entry in value:
        if not text(entry, "name", where=f"{name}[]."):
            raise ParameterMissing(f"{name}[].name is missing or empty.", parameter=f"{name}[].name")
        text(entry, "type", where=f"{name}[].")
    return [_part(entry, f"{name}[]") for entry in value]


def _part(part: Json, where: str) -> Json:
    for name in ("spec", "requestSpec", "responseSpec"):
        if part.get(name) is not None:
            _check_schema(part[name], f"{where}.{name}")
    optional_object(part, "attributes")
    return part


def _check_schema(schema: Any, where: str) -> None:
    if not isinstance(schema, Mapping):
        raise BadParameter(f"{where} is {shown(schema)}; send a JSON Schema.", parameter=where)
    try:
        Draft7Validator.check_schema(schema)
    except SchemaError as error:
        place = ".".join(str(part) for part in (where, *error.absolute_path))
        raise BadParameter(
            f"{place} is no JSON Schema of draft 7: {shown(error.instance)}.", parameter=where
        ) from error
