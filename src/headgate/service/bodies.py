"""Reading members of request bodies: each function gives a value or says what is wrong with it."""

import json
import re
from collections.abc import Mapping
from difflib import get_close_matches
from typing import Any, TypeVar

from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from headgate.errors import BadParameter, NotFound, ParameterMissing, UnknownSpec
from headgate.model.resources import SpecRef
from headgate.model.runs import Json

__all__ = [
    "check_id",
    "check_known",
    "check_schema",
    "kept",
    "objects",
    "optional_object",
    "required_name",
    "shown",
    "spec_ref",
    "text",
    "texts",
]

T = TypeVar("T")
_LONGEST_NAME = 1000
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def shown(value: object) -> str:
    """A value as an error may quote it, in the words of JSON: at most 80 characters."""
    quoted = repr(value) if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    quoted = quoted.encode(errors="backslashreplace").decode()  # half a surrogate pair fits in no answer
    return quoted if len(quoted) <= 80 else f"{quoted[:79]}…"


def text(holder: Mapping[str, Any], name: str, *, where: str = "") -> str | None:
    """The member `name`, None when absent or null. Raises BadParameter when it is no text."""
    value = holder.get(name)
    if value is None or isinstance(value, str):
        return value
    raise BadParameter(f"{where}{name} is {shown(value)}; send a text.", parameter=f"{where}{name}")


def required_name(body: Mapping[str, Any]) -> str:
    """`name`: a text of 1 to 1000 characters. Raises ParameterMissing, BadParameter."""
    name = text(body, "name")
    if not name or not name.strip():
        raise ParameterMissing("name is missing or empty.", parameter="name")
    if len(name) > _LONGEST_NAME:
        raise BadParameter(f"name has {len(name)} characters; {_LONGEST_NAME} are allowed.", parameter="name")
    return name


def optional_object(holder: Mapping[str, Any], name: str) -> Json:
    """The member `name`, empty when absent or null. Raises BadParameter when it is no object."""
    value = holder.get(name)
    if value is None:
        return {}
    if not isinstance(value, dict):
        # Not quoted: what stands in the place of credentials may be one.
        raise BadParameter(f"{name} is no object; send an object.", parameter=name)
    return value


def texts(holder: Mapping[str, Any], name: str, *, where: str = "", most: int | None = None) -> list[str]:
    """The texts in the list `name`, none when absent or null. Raises BadParameter when it is no such list."""
    return _list_of(str, "texts", holder, name, where, most)


def objects(holder: Mapping[str, Any], name: str, *, where: str = "", most: int | None = None) -> list[Json]:
    """The objects in the list `name`, none when absent or null. Raises BadParameter when it is no such list."""
    return _list_of(dict, "objects", holder, name, where, most)


def spec_ref(body: Mapping[str, Any], name: str) -> SpecRef:
    """The spec that `body[name]` refers to, with the version 1.0 when none is given.

    Raises ParameterMissing, BadParameter, UnknownSpec. Whether the id is known is not looked at.
    """
    ref = optional_object(body, name)
    id_ = text(ref, "id", where=f"{name}.")
    if not id_:
        raise ParameterMissing(f"{name}.id is missing or empty.", parameter=f"{name}.id")
    version = text(ref, "version", where=f"{name}.") or "1.0"
    if version != "1.0":
        raise UnknownSpec(f"{name}.version is {shown(version)}; every spec has the version 1.0.", id=id_[:80])
    return SpecRef(id_, version)


def kept(body: Mapping[str, Any], *names: str) -> Json:
    """Those of the members `names` that are there: what a resource keeps of its body.

    `description` must be a text. Raises BadParameter.
    """
    text(body, "description")
    return {name: body[name] for name in names if body.get(name) is not None}


def check_schema(params: Json, schema: Mapping[str, Any], where: str, *, hidden: bool = False) -> None:
    """See that `params` fits `schema`; `where` is what errors call it, `hidden` keeps values out of them.

    Raises ParameterMissing for what is missing or empty, BadParameter for any other misfit.
    """
    found = sorted(Draft7Validator(schema).iter_errors(params), key=lambda error: list(error.absolute_path))
    for error in sorted(found, key=lambda error: error.validator != "required"):
        place = ".".join((where, *(str(part) for part in error.absolute_path)))
        if error.validator == "required":
            missing = next(name for name in error.validator_value if name not in error.instance)
            raise ParameterMissing(f"{place}.{missing} is missing.", parameter=f"{place}.{missing}")
        if error.validator == "minLength":
            raise ParameterMissing(f"{place} is empty.", parameter=place)
        value = "" if hidden else f" is {shown(error.instance)}, which"
        raise BadParameter(f"{place}{value} is not allowed: {_rule(error)}.", parameter=place)


def check_known(params: Json, schema: Mapping[str, Any], where: str, *, free: bool = False) -> None:
    """See that each of `params` is declared in `schema`, which may say that it takes others (`additionalProperties`).

    With `free`, others are taken too, but for a misspelling of a declared one. Raises BadParameter naming the first
    that is wrong and the one that was probably meant; no value is repeated.
    """
    declared = schema.get("properties", {})
    if schema.get("additionalProperties"):
        return
    # Without regard to case and signs: folder_path and FolderPath are meant for folderPath.
    spelled = {_bare(known): known for known in declared}
    for name in params:
        near = get_close_matches(_bare(name), spelled, n=1, cutoff=0.7)
        if name in declared or (free and not near):
            continue
        meant = f" Did you mean {spelled[near[0]]}?" if near else ""
        known = ", ".join(declared) or "none"
        raise BadParameter(f"{where} has no {shown(name)}.{meant} Known: {known}.", parameter=f"{where}.{name[:80]}")


def check_id(id_: str, kind: str) -> str:
    """`id_`, when it has the form of an id. Raises the NotFound of an unknown one."""
    if not _UUID.fullmatch(id_):
        raise NotFound(f"No {kind} entry {shown(id_)} exists in this sandbox.", id=id_[:80], type=kind)
    return id_


def _bare(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


def _list_of(type_: type[T], what: str, holder: Mapping[str, Any], name: str, where: str, most: int | None) -> list[T]:
    value = holder.get(name)
    if value is None:
        return []
    if (
        not isinstance(value, list)
        or not all(isinstance(entry, type_) for entry in value)
        or (most is not None and len(value) > most)
    ):
        wanted = what if most is None else f"at most {most} {what}"
        raise BadParameter(f"{where}{name} is {shown(value)}; send a list of {wanted}.", parameter=f"{where}{name}")
    return value


def _rule(error: ValidationError) -> str:
    match error.validator:
        case "type":
            types = error.validator_value
            return f"send {types if isinstance(types, str) else ' or '.join(types)}"
        case "enum":
            return f"send one of {', '.join(map(repr, error.validator_value))}"
        case "minimum" | "maximum" | "exclusiveMinimum" as rule:
            words = {"minimum": "at least", "maximum": "at most", "exclusiveMinimum": "more than"}
            return f"send {words[rule]} {error.validator_value}"
        case "pattern" if isinstance(error.schema, dict) and {"minimum", "maximum"} <= error.schema.keys():
            return f"send {error.schema['minimum']} to {error.schema['maximum']}"  # a number written as text
        case rule:
            return f"it must have {rule} {error.validator_value}"
