"""The OpenAPI 3.1 description of the API, served at /openapi.json.

FastAPI derives the addresses from the routes; what a route's own declaration cannot say is added here: the headers
of every call, and the errors that any of them may be answered with.
"""

from collections.abc import Iterator

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from headgate.api.json_schema import TEXT, Schema, parameter
from headgate.api.shapes import ANSWERS, PARAMETERS

__all__ = ["describe"]

_ERROR: Schema = {
    "type": "object",
    "description": "What was wrong, with which value, and what to do next.",
    "required": ["type", "title", "status"],
    "properties": {
        "type": {"type": "string", "description": "Ends in the stable code, for instance FLOW-1439-404."},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "report": {
            "type": "object",
            "required": ["detailed-message", "request-id"],
            "properties": {"detailed-message": TEXT, "request-id": TEXT},
        },
        "errorMessage": TEXT,
        "errorDetails": TEXT,
    },
}
_REFUSAL: Schema = {
    "type": "object",
    "description": "The gateway does not let the call in.",
    "required": ["error_code", "message"],
    "properties": {"error_code": TEXT, "message": TEXT},
}
_STATUSES = {
    "400": "The request is wrong.",
    "401": "The token cannot be used.",
    "403": "The caller may not do this.",
    "404": "There is no such thing in this organisation and sandbox.",
    "405": "The address does not take this method.",
    "412": "The resource has changed since.",
    "413": "The body is too large.",
    "429": "Too many requests; Retry-After says when to try again.",
    "431": "The headers are too large.",
    "503": "Nothing was stored; try again.",
}
_HEADERS: tuple[Schema, ...] = (
    parameter("x-gw-ims-org-id", "Organisation.", place="header", required=True),
    parameter("x-sandbox-name", "Sandbox; the organisation's default one when absent.", place="header"),
)


def describe(app: FastAPI) -> Schema:
    """The description of `app`, made once."""
    if app.openapi_schema is None:
        app.openapi_schema = _description(app)
    return app.openapi_schema


def _description(app: FastAPI) -> Schema:
    document = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
    components = document.setdefault("components", {})
    components["schemas"] = {"Error": _ERROR, "Refusal": _REFUSAL}
    components["securitySchemes"] = {
        "token": {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"},
        "apiKey": {"type": "apiKey", "in": "header", "name": "x-api-key"},
    }
    for route, operation in _operations(document):
        responses = operation["responses"]
        _give_shape(responses, route)
        if route in PARAMETERS:
            operation["parameters"] = [*operation.get("parameters", ()), *PARAMETERS[route]]
        responses.pop("422", None)  # FastAPI's own, which no handler here answers
        for status, description in _STATUSES.items():
            responses.setdefault(status, _error(status, description))
        if "x-permission" in operation:
            operation["security"] = [{"token": [], "apiKey": []}]
            operation["parameters"] = [*operation.get("parameters", ()), *_HEADERS]
    return document


def _operations(document: Schema) -> Iterator[tuple[str, Schema]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield f"{method.upper()} {path}", operation


def _give_shape(responses: dict[str, Schema], route: str) -> None:
    """Put what the route answers with into the success among `responses`. Raises KeyError for an unknown route."""
    status = next(status for status in responses if status.startswith("2"))
    if status != "204" and "text/event-stream" not in responses[status].get("content", ()):
        responses[status].setdefault("content", {}).setdefault("application/json", {})["schema"] = ANSWERS[route]


def _error(status: str, description: str) -> Schema:
    shapes = [{"$ref": "#/components/schemas/Error"}]
    if status in ("400", "401", "403"):
        shapes.append({"$ref": "#/components/schemas/Refusal"})
    return {"description": description, "content": {"application/json": {"schema": {"anyOf": shapes}}}}
