"""Reading request bodies: strictly, because what one parser forgives another reads differently."""

import asyncio
import json
import math
from typing import Any, NoReturn
from urllib.parse import parse_qsl

from starlette.requests import Request

from headgate.errors import BadBody, BodyEmpty, BodyTooLarge

__all__ = [
    "MAX_BYTES",
    "parse_object",
    "parse_patch",
    "read_form",
    "read_object",
    "read_patch",
    "read_report",
    "read_texts",
]

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64
MAX_FIELDS = 20
MAX_SECONDS = 20
_LEAST, _MOST = -(2**63), 2**64 - 1


async def read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the request's body. Raises BodyTooLarge, BodyEmpty, BadBody."""
    return parse_object(await _read(request))


async def read_patch(request: Request) -> list[dict[str, Any]]:
    """The list of objects in the request's body; one object alone is a list of one.

    Raises BodyTooLarge, BodyEmpty (for an empty list, too), BadBody.
    """
    return parse_patch(await _read(request))


async def read_texts(request: Request) -> list[str]:
    """The list of texts in the request's body. Raises BodyTooLarge, BodyEmpty for `null`, BadBody."""
    value = _parse(await _read(request))
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise BadBody("The body must be a JSON array of texts.")
    return value


async def read_report(request: Request) -> dict[str, Any]:
    """The JSON object in the body of an action, which many clients send without body or Content-Type.

    Raises BodyTooLarge, BadBody.
    """
    raw = await _receive(request)
    return parse_object(raw) if raw.strip() not in (b"", b"null") else {}


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The fields of the form in the request's body, in order; none when it is empty.

    Raises BodyTooLarge, BadBody.
    """
    raw = await _receive(request)
    if not raw:
        return []
    media_type = _media_type(request)
    if media_type != "application/x-www-form-urlencoded":
        raise BadBody(f"The Content-Type is {media_type[:80]!r}; send application/x-www-form-urlencoded.")
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=MAX_FIELDS)
    except ValueError as error:
        raise BadBody("The body is no form of at most 20 fields in UTF-8.") from error


async def _receive(request: Request) -> bytes:
    raw, size = bytearray(), 0
    try:
        async with asyncio.timeout(MAX_SECONDS):
            async for chunk in request.stream():
                size += len(chunk)
                if size > 8 * MAX_BYTES:
                    raise BodyTooLarge
                if size <= MAX_BYTES:  # a little more is read and dropped, so that the client hears the answer
                    raw += chunk
    except TimeoutError as error:
        raise BadBody(f"The body did not arrive within {MAX_SECONDS} seconds.") from error
    if size > MAX_BYTES:
        raise BodyTooLarge
    return bytes(raw)


async def _read(request: Request) -> bytes:
    raw = await _receive(request)
    if not raw.strip():
        raise BodyEmpty
    media_type = _media_type(request)
    if media_type not in ("application/json", "application/json-patch+json"):
        raise BadBody(f"The Content-Type is {media_type[:80]!r}; send application/json.")
    return raw


def _media_type(request: Request) -> str:
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def parse_object(raw: bytes) -> dict[str, Any]:
    """The JSON object that `raw` holds in UTF-8.

    Refused are duplicate keys, numbers that are no 64-bit integer or finite float, NUL and lone surrogates
    in texts, and more than 64 levels. Raises BodyEmpty for `null`, BadBody.
    """
    value = _parse(raw)
    if not isinstance(value, dict):
        raise BadBody("The body must be a JSON object.")
    return value


def parse_patch(raw: bytes) -> list[dict[str, Any]]:
    """The JSON objects of the array that `raw` holds, as strictly as `parse_object()`."""
    value = _parse(raw)
    if isinstance(value, dict):
        return [value]
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise BadBody("The body must be a JSON array of objects.")
    if not value:
        raise BodyEmpty
    return value


def _parse(raw: bytes) -> Any:
    try:
        value = json.loads(
            raw.decode(),
            object_pairs_hook=_object,
            parse_constant=_constant,
            parse_int=_integer,
            parse_float=_float,
        )
    except UnicodeDecodeError as error:
        raise BadBody("The body is not valid UTF-8.") from error
    except json.JSONDecodeError as error:
        raise BadBody(
            f"The body is not valid JSON: {error.msg} at line {error.lineno}, column {error.colno}."
        ) from error
    except RecursionError as error:
        raise BadBody(f"The body is nested deeper than {MAX_DEPTH} levels.") from error
    if value is None:
        raise BodyEmpty
    _check(value, 1)
    return value


def _check(value: object, depth: int) -> None:
    if isinstance(value, str):
        _check_text(value)
        return
    if not isinstance(value, dict | list):
        return
    if depth > MAX_DEPTH:
        raise BadBody(f"The body is nested deeper than {MAX_DEPTH} levels.")
    if isinstance(value, dict):
        for key in value:
            _check_text(key)
        value = list(value.values())
    for item in value:
        _check(item, depth + 1)


def _check_text(text: str) -> None:
    if "\0" in text:
        raise BadBody("A text in the body holds the character NUL.")
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise BadBody("A text in the body holds half of a surrogate pair.") from error


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        names = [name for name, _ in pairs]
        double = next(name for name in names if names.count(name) > 1)
        raise BadBody(f"The body holds the member {double[:40]!r} twice in one object.")
    return value


def _integer(text: str) -> int:
    # Measured as text first: reading thousands of digits is slow, and then refused by Python itself.
    if len(text) > 20 or not _LEAST <= int(text) <= _MOST:
        raise BadBody("A number in the body has more than 64 bits.")
    return int(text)


def _float(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise BadBody("A number in the body is too large.")
    return value


def _constant(name: str) -> NoReturn:
    raise BadBody(f"{name} is not JSON.")
