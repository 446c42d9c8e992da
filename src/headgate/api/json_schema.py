"""What the descriptions of bodies, answers and parameters are made of."""

from typing import Any

__all__ = ["MAP", "TEXT", "Schema", "list_of", "object_of", "parameter"]

Schema = dict[str, Any]

TEXT: Schema = {"type": "string"}
MAP: Schema = {"type": "object"}


def object_of(required: str, /, **properties: Schema) -> Schema:
    """An object with these members, of which the ones named in `required`, with spaces between, must be there."""
    return {"type": "object", "required": required.split(), "properties": properties}


def list_of(item: Schema, /) -> Schema:
    """A list of such items."""
    return {"type": "array", "items": item}


def parameter(
    name: str, description: str = "", /, *, place: str = "query", required: bool = False, **schema: Any
) -> Schema:
    """A parameter of the query, or of another place; a text unless `schema` says otherwise."""
    described = {"description": description} if description else {}
    return {"name": name, "in": place, "required": required, **described, "schema": {**TEXT, **schema}}
