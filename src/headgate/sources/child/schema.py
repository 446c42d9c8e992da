"""The JSON Schema of a stream's records as columns of the lake: fixed before anything is read."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

from headgate.model.lake import Column, LakeType

__all__ = ["columns_of"]

_TEXT = LakeType("string")  # a text as it is; anything else as its JSON
_DIGITS = 38
_DEEPEST = 12
_LONG = 2**63
# What Airbyte says besides of a type that JSON does not have.
_AIRBYTE = {
    "timestamp_with_timezone": LakeType("timestamptz"),
    "timestamp_without_timezone": LakeType("timestamp"),
    "big_integer": LakeType("decimal", _DIGITS, 0),
    "integer": LakeType("long"),
}


def columns_of(schema: Mapping[str, Any]) -> tuple[Column, ...]:
    """The columns of records that `schema`, an object's, describes, in its order."""
    found = schema.get("properties")
    properties = found if isinstance(found, Mapping) else {}
    return tuple(Column(name, _type(about, schema, 0), _word(about)) for name, about in properties.items() if name)


def _type(about: Any, root: Mapping[str, Any], depth: int) -> LakeType:
    """The type of values that `about` describes; text where there is no one type that would hold all of them."""
    about = _one(about, root)
    if about is None or depth > _DEEPEST:
        return _TEXT
    kinds = _kinds(about)
    if kinds == {"boolean"}:
        return LakeType("boolean")
    if kinds == {"string"}:
        return _of_text(about)
    if kinds and kinds <= {"integer", "number"}:
        return _of_number(about, whole=kinds == {"integer"})
    if kinds == {"array"}:
        items = about.get("items")
        if not isinstance(items, Mapping) or not items:
            return _TEXT
        return LakeType("list", element=_type(items, root, depth + 1))
    if kinds == {"object"}:
        return _of_object(about, root, depth)
    return _TEXT


def _one(about: Any, root: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """`about` with its references followed, or the one of its alternatives that is not null."""
    for _ in range(_DEEPEST):
        if not isinstance(about, Mapping):
            return None
        if isinstance(reference := about.get("$ref"), str):
            about = _followed(reference, root)
            continue
        listed = next((about[word] for word in ("anyOf", "oneOf") if isinstance(about.get(word), list)), None)
        if listed is None or "type" in about:
            return about
        real = [each for each in listed if not isinstance(each, Mapping) or each.get("type") not in ("null", ["null"])]
        about = real[0] if len(real) == 1 else None
    return None


def _followed(reference: str, root: Mapping[str, Any]) -> Any:
    """What a reference into the schema itself leads to; None elsewhere."""
    if not reference.startswith("#/"):
        return None
    found: Any = root
    for part in reference[2:].split("/"):
        found = found.get(part.replace("~1", "/").replace("~0", "~")) if isinstance(found, Mapping) else None
    return found


def _kinds(about: Mapping[str, Any]) -> set[str]:
    found = about.get("type")
    if isinstance(found, str):
        return {found}
    if isinstance(found, list):
        return {str(each) for each in found} - {"null"}
    return {"object"} if isinstance(about.get("properties"), Mapping) else set()


def _of_text(about: Mapping[str, Any]) -> LakeType:
    if (known := _AIRBYTE.get(str(about.get("airbyte_type")))) is not None:
        return known
    match str(about.get("format", "")):
        case "date-time":
            return LakeType("timestamptz")
        case "date":
            return LakeType("date")
        case "singer.decimal" | "x-singer.decimal":
            return _declared_decimal(about) or _TEXT
    return _TEXT


def _of_number(about: Mapping[str, Any], *, whole: bool) -> LakeType:
    if (known := _AIRBYTE.get(str(about.get("airbyte_type")))) is not None:
        return known
    if whole:
        largest = _number(about.get("maximum"))
        return LakeType("long") if largest is None or largest < _LONG else LakeType("decimal", _DIGITS, 0)
    step = _number(about.get("multipleOf"))
    if step is None or step <= 0:
        return _declared_decimal(about) or LakeType("double")
    exponent = step.normalize().as_tuple().exponent
    scale = max(0, -exponent) if isinstance(exponent, int) else _DIGITS
    if scale >= _DIGITS:
        return LakeType("double")
    # Singer's way to say decimal(p,s): a bound of 10^(p-s), which is not reached.
    limit = about.get("exclusiveMaximum")
    bound = _number(about.get("maximum") if limit is True else limit)
    digits = len(str(int(bound))) - 1 if isinstance(bound, Decimal) and bound >= 1 else _DIGITS
    exact = isinstance(bound, Decimal) and bound == Decimal(10) ** digits
    return LakeType("decimal", min(_DIGITS, digits + scale) if exact and digits + scale else _DIGITS, scale)


def _declared_decimal(about: Mapping[str, Any]) -> LakeType | None:
    precision, scale = about.get("precision"), about.get("scale", 0)
    if type(precision) is int and type(scale) is int and 1 <= precision <= _DIGITS and 0 <= scale <= precision:
        return LakeType("decimal", precision, scale)
    return None


def _of_object(about: Mapping[str, Any], root: Mapping[str, Any], depth: int) -> LakeType:
    """A struct of the members that are named; others are not kept. Text where none is, or the lake could not tell."""
    properties = about.get("properties")
    if not isinstance(properties, Mapping) or not properties:
        return _TEXT
    if "" in properties or len({name.casefold() for name in properties}) < len(properties):
        return _TEXT
    return LakeType("struct", fields=tuple((name, _type(each, root, depth + 1)) for name, each in properties.items()))


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
        return None
    try:
        found = Decimal(str(value))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _word(about: Any) -> str:
    """The schema's own words for a type, for people."""
    if not isinstance(about, Mapping):
        return ""
    found = about.get("type", "")
    text = " or ".join(str(each) for each in found if each != "null") if isinstance(found, list) else str(found)
    return f"{text} ({about['format']})" if isinstance(about.get("format"), str) else text
