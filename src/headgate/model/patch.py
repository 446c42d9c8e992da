"""The JSON Patch subset that changes resources: `add`, `replace` and `remove` at RFC 6901 pointers.

https://www.rfc-editor.org/rfc/rfc6902 without `move`, `copy` and `test`; the names of the operations are
read in any letter case, and a `remove` may carry a value that is not looked at.
"""

import copy
import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from headgate.errors import BadPatchPath, BodyEmpty, PatchFieldMissing, PatchTooLong, UnknownPatchOperation
from headgate.model.runs import Json

__all__ = ["MAX_OPERATIONS", "Operation", "apply", "parse_patch"]

MAX_OPERATIONS = 1000
_LONGEST_PATH = 1000
_DEEPEST = 32
_OPS: dict[str, Literal["add", "replace", "remove"]] = {"add": "add", "replace": "replace", "remove": "remove"}
_INDEX = re.compile(r"0|[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `tokens` is its pointer, taken apart; `path` the pointer as it came."""

    op: Literal["add", "replace", "remove"]
    path: str
    tokens: tuple[str, ...]
    value: Any = None


def parse_patch(operations: Sequence[object]) -> tuple[Operation, ...]:
    """Read the operations of a body.

    Raises BodyEmpty, PatchTooLong, UnknownPatchOperation, BadPatchPath, and PatchFieldMissing for an operation
    without a path or value.
    """
    if not operations:
        raise BodyEmpty("The patch holds no operation.")
    if len(operations) > MAX_OPERATIONS:
        raise PatchTooLong(f"The patch holds {len(operations)} operations; {MAX_OPERATIONS} are allowed.")
    return tuple(_operation(entry) for entry in operations)


def apply(document: Mapping[str, Any], operations: Sequence[Operation]) -> Json:
    """`document` after all `operations`; it is left as it is itself. Raises PatchFieldMissing, BadPatchPath."""
    changed = copy.deepcopy(dict(document))
    for operation in operations:
        holder: Any = changed
        for token in operation.tokens[:-1]:
            holder = _member(holder, token, operation.path)
        _change(holder, operation)
    return changed


def _operation(entry: object) -> Operation:
    if not isinstance(entry, Mapping):
        raise UnknownPatchOperation(f"The patch holds {_quoted(entry)}; send objects with op, path and value.")
    name, path = entry.get("op"), entry.get("path")
    op = _OPS.get(name.lower()) if isinstance(name, str) else None
    if op is None:
        raise UnknownPatchOperation(f"op is {_quoted(name)}; send add, replace or remove.", op=_quoted(name))
    if path is None:
        raise PatchFieldMissing(f"The operation {op} has no path.", op=op)
    if op != "remove" and "value" not in entry:
        raise PatchFieldMissing(f"The operation {op} at {_quoted(path)} has no value.", op=op)
    return Operation(op, str(path), _tokens(path), entry.get("value"))


def _tokens(path: object) -> tuple[str, ...]:
    if not isinstance(path, str) or not path.startswith("/"):
        raise BadPatchPath(f"path is {_quoted(path)}; send a pointer such as /name.", path=_quoted(path))
    tokens = path[1:].split("/")
    if len(path) > _LONGEST_PATH or len(tokens) > _DEEPEST:
        raise BadPatchPath(f"path {_quoted(path)} is longer than {_LONGEST_PATH} characters or {_DEEPEST} levels.")
    if any(re.search("~(?![01])", token) for token in tokens):
        raise BadPatchPath(f"path {_quoted(path)} holds a ~ that stands for nothing.", path=_quoted(path))
    return tuple(token.replace("~1", "/").replace("~0", "~") for token in tokens)


def _member(holder: Any, token: str, path: str) -> Any:
    if isinstance(holder, dict):
        if token not in holder:
            raise _missing(path)
        return holder[token]
    if isinstance(holder, list):
        return holder[_index(holder, token, path)]
    raise BadPatchPath(f"path {_quoted(path)} leads into a plain value.", path=_quoted(path))


def _change(holder: Any, operation: Operation) -> None:
    token, path, value = operation.tokens[-1], operation.path, copy.deepcopy(operation.value)
    if operation.op != "add":
        _member(holder, token, path)  # must be there
    if isinstance(holder, dict):
        if operation.op == "remove":
            del holder[token]
        else:
            holder[token] = value
    elif isinstance(holder, list):
        match operation.op:
            case "remove":
                del holder[_index(holder, token, path)]
            case "replace":
                holder[_index(holder, token, path)] = value
            case _ if token == "-":  # noqa: S105 - a part of a path
                holder.append(value)
            case _:
                holder.insert(_index((*holder, None), token, path), value)
    else:
        raise BadPatchPath(f"path {_quoted(path)} leads into a plain value.", path=_quoted(path))


def _index(holder: Collection[Any], token: str, path: str) -> int:
    if not _INDEX.fullmatch(token):
        raise BadPatchPath(f"path {_quoted(path)} names the place {_quoted(token)} of a list.", path=_quoted(path))
    if int(token) >= len(holder):
        raise _missing(path)
    return int(token)


def _missing(path: str) -> PatchFieldMissing:
    return PatchFieldMissing(f"There is nothing at {_quoted(path)} to change.", path=_quoted(path))


def _quoted(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:79]}…"
