"""Says in a sentence what is wrong with a manifest by its JSON Schema.

jsonschema's own words for one of several forms are the whole schema. Here the form is found that was meant, by its
`kind` where forms have one, and what is wrong in that is said.
"""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

import jsonschema

__all__ = ["fault_of"]

_FORMS = ("oneOf", "anyOf")


def fault_of(document: object, schema: Mapping[str, Any]) -> tuple[Sequence[Any], str] | None:
    """Where `document` is not what `schema` says and what is wrong there; None when nothing is."""
    found = jsonschema.exceptions.best_match(jsonschema.Draft202012Validator(schema).iter_errors(document), key=_first)
    if found is None:
        return None
    # best_match has gone down into the forms, by which one fits best; go back to where they fork.
    while found.parent is not None:
        found = found.parent
    return _said(found)


def _said(error: Any) -> tuple[Sequence[Any], str]:
    here, schema, value = list(error.absolute_path), error.schema, error.instance
    match error.validator:
        case "oneOf" | "anyOf":
            return _of_forms(error)
        case "additionalProperties":
            known = sorted(schema.get("properties", {}))
            stranger = next(name for name in value if name not in known)
            return here, f"{stranger!r} is not known here. {_meant(stranger, known)}Known: {', '.join(known)}"
        case "required":
            return here, f"{next(name for name in error.validator_value if name not in value)!r} is missing"
        case "enum":
            return here, _none_of(value, error.validator_value)
    return here, str(error.message)[:300]


def _of_forms(error: Any) -> tuple[Sequence[Any], str]:
    """What is wrong in the form that was meant."""
    forms, value = error.schema[error.validator], error.instance
    kinds = [form.get("properties", {}).get("kind", {}).get("const") for form in forms]
    if all(kinds) and isinstance(value, dict):
        if value.get("kind") not in kinds:
            return [*error.absolute_path, "kind"], _none_of(value.get("kind"), kinds)
        return _said(_of_form(error.context, kinds.index(value["kind"])))
    needed = [name for form in forms for name in form.get("required", ())]
    if isinstance(value, dict) and all(form.keys() == {"required"} for form in forms):
        many = "only one of" if any(name in value for name in needed) else "one of"
        return list(error.absolute_path), f"{many} {', '.join(needed)} is needed"
    # A form that wants something of another type was not meant.
    fitting = [place for place in range(len(forms)) if _fits(error, place)]
    if len(fitting) == 1:
        return _said(_of_form(error.context, fitting[0]))
    return list(error.absolute_path), str(error.message)[:300]


def _fits(error: Any, place: int) -> bool:
    faults = [each for each in error.context if each.schema_path[0] == place]
    return not any(each.validator in ("type", "not") and not each.path for each in faults)


def _of_form(faults: Iterable[Any], place: int) -> Any:
    return max((each for each in faults if each.schema_path[0] == place), key=_first)


def _first(error: Any) -> tuple[bool, Any]:
    """Names that nobody knows before those that are missing: one is often the other, misspelled."""
    return (error.validator == "additionalProperties", jsonschema.exceptions.relevance(error))


def _none_of(value: Any, known: Sequence[Any]) -> str:
    names = [str(name) for name in known]
    return f"{value!r} is none of these. {_meant(str(value), names)}Known: {', '.join(names)}"


def _meant(word: str, known: Sequence[str]) -> str:
    near = get_close_matches(word, known, n=1)
    return f"Did you mean {near[0]!r}? " if near else ""
