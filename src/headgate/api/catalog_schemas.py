"""What request bodies and answers of the Catalog and its neighbours look like, for the OpenAPI description."""

from typing import Any

from headgate.api.schemas import PATCH

__all__ = ["BYTES", "DATASET", "DATASET_CHANGE", "EXTENSIONS", "LINES", "METRICS"]

Schema = dict[str, Any]


def _object(required: list[str], **properties: Schema) -> Schema:
    return {"type": "object", "required": required, "properties": properties}


_TEXT: Schema = {"type": "string"}
_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_TAGS: Schema = {"type": "object", "additionalProperties": {"type": "array", "items": _TEXT}}
_DATASET: Schema = {
    "name": _NAME,
    "description": _TEXT,
    "schemaRef": _object([], id=_TEXT, contentType=_TEXT),
    "tags": _TAGS,
    "fileDescription": {"type": "object"},
    "classification": _object([], dataBehavior={"enum": ["record", "time-series", "adhoc"]}),
    "enableErrorDiagnostics": {"type": "boolean"},
    "unifiedTags": {"type": "array", "items": _TEXT},
    "systemLabels": {"type": "array", "items": _TEXT},
    "extensions": {"type": "object"},
}
DATASET = _object(["name"], **_DATASET)
DATASET_CHANGE: Schema = {
    "oneOf": [_object([], **_DATASET), PATCH],
    "description": "An object is merged into the dataset; an array holds JSON Patch operations.",
}
EXTENSIONS = _object(["extensions"], extensions={"type": "object", "minProperties": 1})
METRICS = _object(
    ["start", "end", "metrics"],
    start={"type": "string", "format": "date-time"},
    end={"type": "string", "format": "date-time"},
    granularity={"type": "string", "enum": ["HOUR", "DAY", "hour", "day"], "default": "DAY"},
    metrics={
        "type": "array",
        "minItems": 1,
        "maxItems": 20,
        "items": _object(
            ["name"],
            name=_TEXT,
            filters={
                "type": "array",
                "maxItems": 1,
                "items": _object(
                    ["name", "value"], name={"const": "dataSetId"}, value=_TEXT, groupBy={"type": "boolean"}
                ),
            },
            aggregator={"const": "sum"},
            downsample={"const": "sum"},
        ),
    },
)

_OCTETS: Schema = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
LINES: dict[int | str, Schema] = {200: {"content": _OCTETS, "description": "A list; with `path` lines of JSON."}}
BYTES: dict[int | str, Schema] = {
    200: {"content": _OCTETS, "description": "The parts of the file; with `path` its bytes."},
    206: {"content": _OCTETS, "description": "The bytes that the Range header asks for."},
    416: {"content": {"application/json": {}}, "description": "The file has none of those bytes."},
}
