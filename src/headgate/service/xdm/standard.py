"""The behaviours and classes that every registry has, read-only."""

from collections.abc import Mapping
from typing import Any

from headgate.model.runs import Json
from headgate.service.xdm.documents import NAMESPACE, alt_id

__all__ = ["ADHOC", "BEHAVIORS", "CLASSES", "RECORD", "STANDARD"]

RECORD, _TIME_SERIES, ADHOC = (f"{NAMESPACE}/xdm/data/{name}" for name in ("record", "time-series", "adhoc"))
_ID: Json = {
    "title": "Identifier",
    "type": "string",
    "format": "uri-reference",
    "meta:xdmType": "string",
    "description": "Tells a record from all others.",
}
_TIMESTAMP: Json = {
    "title": "Timestamp",
    "type": "string",
    "format": "date-time",
    "meta:xdmType": "date-time",
    "description": "When what the record tells of happened.",
}


def _document(
    id_: str, kind: str, title: str, description: str, extends: list[str], properties: Json, *required: str
) -> Json:
    document: Json = {
        "$id": id_,
        "meta:altId": alt_id(id_),
        "meta:resourceType": kind,
        "version": "1",
        "title": title,
        "description": description,
        "type": "object",
        "meta:extensible": True,
        "meta:abstract": True,
        "meta:extends": extends,
        "meta:xdmType": "object",
        "meta:containerId": "global",
        "properties": properties,
    }
    if extends:
        document["allOf"] = [{"$ref": ref, "type": "object", "meta:xdmType": "object"} for ref in extends]
    if required:
        document["required"] = list(required)
    return document


BEHAVIORS: Mapping[str, Json] = {
    document["$id"]: document
    for document in (
        _document(RECORD, "behaviors", "Record", "What a thing is like.", [], {"_id": _ID}),
        _document(
            _TIME_SERIES,
            "behaviors",
            "Time-series",
            "What happened at a moment.",
            [],
            {"_id": _ID, "timestamp": _TIMESTAMP},
            "_id",
            "timestamp",
        ),
        _document(ADHOC, "behaviors", "Ad hoc", "Columns of one dataset alone.", [], {}),
    )
}
CLASSES: Mapping[str, Json] = {
    document["$id"]: document
    for document in (
        {**BEHAVIORS[RECORD], "meta:resourceType": "classes", "meta:extends": [RECORD]},
        _document(
            f"{NAMESPACE}/xdm/context/profile",
            "classes",
            "Individual profile",
            "What is known of a person.",
            [RECORD],
            {},
        ),
        _document(
            f"{NAMESPACE}/xdm/context/experienceevent",
            "classes",
            "Experience event",
            "Something a person did.",
            [_TIME_SERIES],
            {},
        ),
    )
}
STANDARD: Mapping[str, Mapping[str, Any]] = {**BEHAVIORS, **CLASSES}
"""All of them by `$id`. The record class is its behaviour itself."""
