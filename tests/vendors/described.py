"""Holds a stand-in to the description that its vendor publishes: what it takes, and what it answers."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema

FOLDER = Path(__file__).parent / "openapi"


class Description:
    """An excerpt of a published OpenAPI description."""

    def __init__(self, name: str) -> None:
        self._whole: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text())

    def fault(self, method: str, path: str, query: Mapping[str, str]) -> tuple[str, str] | None:
        """The parameter of the query that the description does not allow, and why; None when it allows all."""
        operation = self._whole["paths"].get(path, {}).get(method.lower())
        if operation is None:
            return path, "NO_SUCH_PATH"
        known = {about["name"]: about for about in operation.get("parameters", ()) if about["in"] == "query"}
        for name in query:
            if name not in known:
                return name, "UNKNOWN_PARAMETER"
        for name, about in known.items():
            if name not in query:
                if about.get("required"):
                    return name, "MISSING_REQUIRED_PARAMETER"
            elif not _fits(query[name], about["schema"]):
                return name, "INVALID_PARAMETER_VALUE"
        return None

    def answers(self, method: str, path: str, body: object) -> object:
        """`body`, which is what the description says is answered; fails where it is not."""
        content = self._whole["paths"][path][method.lower()]["responses"]["200"]["content"]
        schema = {**content["application/json"]["schema"], "components": self._whole["components"]}
        jsonschema.validate(body, schema)
        return body


def _fits(value: str, schema: Mapping[str, Any]) -> bool:
    if schema["type"] == "integer":
        return value.isdigit() and schema.get("minimum", 0) <= int(value) <= schema.get("maximum", 1 << 63)
    length = schema.get("minLength", 0) <= len(value) <= schema.get("maxLength", 1 << 16)
    return length and re.search(schema.get("pattern", ""), value) is not None
