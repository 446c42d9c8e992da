"""What request bodies and answers of the Catalog and its neighbours look like, for the OpenAPI description."""

from headgate.api.json_schema import TEXT, Schema, list_of, object_of
from headgate.api.schemas import PATCH

__all__ = ["BYTES", "DATASET", "DATASET_CHANGE", "EXTENSIONS", "LINES", "METRICS"]


_NAME: Schema = {"type": "string", "minLength": 1, "maxLength": 1000}
_TAGS: Schema = {"type": "object", "additionalProperties": list_of(TEXT)}
_DATASET: Schema = {
    "name": _NAME,
    "description": TEXT,
    "schemaRef": object_of("", id=TEXT, contentType=TEXT),
    "tags": _TAGS,
    "fileDescription": {"type": "object"},
    "classification": object_of("", dataBehavior={"enum": ["record", "time-series", "adhoc"]}),
    "enableErrorDiagnostics": {"type": "boolean"},
    "unifiedTags": list_of(TEXT),
    "systemLabels": list_of(TEXT),
    "extensions": {"type": "object"},
}
DATASET = object_of("name", **_DATASET)
DATASET_CHANGE: Schema = {
    "oneOf": [object_of("", **_DATASET), PATCH],
    "description": "An object is merged into the dataset; an array holds JSON Patch operations.",
}
EXTENSIONS = object_of("extensions", extensions={"type": "object", "minProperties": 1})
METRICS = object_of(
    "start end metrics",
    start={"type": "string", "format": "date-time"},
    end={"type": "string", "format": "date-time"},
    granularity={"type": "string", "enum": ["HOUR", "DAY", "hour", "day"], "default": "DAY"},
    metrics={
        "type": "array",
        "minItems": 1,
        "maxItems": 20,
        "items": object_of(
            "name",
            name=TEXT,
            filters={
                "type": "array",
                "maxItems": 1,
                "items": object_of("name value", name={"const": "dataSetId"}, value=TEXT, groupBy={"type": "boolean"}),
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
