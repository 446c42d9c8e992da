"""A hook of schemathesis: half of the requests it makes up name things that exist, to get past the first check.

The ids come as JSON in the environment variable KNOWN_IDS, by the member or collection that names them.
"""

import json
import os
from typing import Any

import schemathesis

KNOWN: dict[str, str] = json.loads(os.environ["KNOWN_IDS"])


@schemathesis.hook
def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
    """The id of something that exists, for every other made-up one."""
    if not path_parameters or "id" not in path_parameters or len(str(path_parameters["id"])) % 2:
        return path_parameters
    collection = context.operation.path.split("/{id}")[0].rpartition("/")[2]
    return {**path_parameters, "id": KNOWN.get(collection, path_parameters["id"])}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """The body, with ids of what exists in place of every other made-up one."""
    return _known(body) if len(str(body)) % 2 else body


def _known(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _known(member, f"{name}.{key}" if key == "id" else key) for key, member in value.items()}
    if isinstance(value, list):
        return [_known(member, name) for member in value]
    return KNOWN.get(name, value) if isinstance(value, str) else value
