"""Zoho CRM: which modules an organisation has, and what their records hold, from its own metadata."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from headgate.errors import SourceObjectMissing
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.records import document

__all__ = ["about", "stream_about", "streams"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,99}")
_PLAIN: Mapping[str, str] = {
    "boolean": "boolean",
    "integer": "long",
    "long": "long",
    "double": "double",
    "string": "string",
}
_BY_DATA_TYPE: Mapping[str, str] = {"datetime": "timestamptz", "date": "date"}
# What a query cannot select.
_LEFT_OUT = (
    "subform",
    "multiselectlookup",
    "multiuserlookup",
    "fileupload",
    "imageupload",
    "profileimage",
    "consent_lookup",
)
_CHANGED = ("Modified_Time", "Created_Time")
_MOST = 500  # fields that one query may select
_TOGETHER = 2000


def streams(asking: Asking) -> Sequence[str]:
    """The names of the modules that the API serves."""
    found = _list(asking, "/settings/modules", "modules", {})
    names = (said["api_name"] for said in found if said.get("api_supported"))
    return sorted(name for name in names if _NAME.fullmatch(name))


def about(asking: Asking, name: str) -> Mapping[str, Any]:
    """What a manifest would say of the module. Raises SourceObjectMissing."""
    if not _NAME.fullmatch(name):
        raise SourceObjectMissing(f"{asking.title} has no module {name[:100]!r}.")
    return stream_about(name, _list(asking, "/settings/fields", "fields", {"module": name}))


def _list(asking: Asking, path: str, member: str, query: Mapping[str, str]) -> list[Mapping[str, Any]]:
    answer = asking.answer(Ask("GET", asking.base + path, query=dict(query)))
    found: list[Mapping[str, Any]] = (document(answer.content, asking.title) or {}).get(member, [])
    return found


def stream_about(name: str, fields: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """What a manifest would say of the module `name`, which has these `fields`.

    Records are asked for in Zoho's query language, by the order of their ids: a record that changes during the read
    moves no other one. What refers to other records comes as their id.
    """
    columns: dict[str, Any] = {"id": "string"}
    for field in fields:
        column = field["api_name"]
        if field.get("data_type") in _LEFT_OUT or not _NAME.fullmatch(column) or len(columns) >= _MOST:
            continue
        columns.setdefault(column, _column(field))
    times = [column for column, said in columns.items() if said in ("timestamptz", "date")]
    times.sort(key=lambda column: _CHANGED.index(column) if column in _CHANGED else len(_CHANGED))
    query = f"select {{columns}} from {name} where ({{window}}{{last}}) order by id asc limit {_TOGETHER}"
    return {
        "title": name,
        "request": {"method": "POST", "path": "/coql", "body": {"select_query": query}},
        "records": "data",
        "paging": {
            "kind": "last_id",
            "text": "id > {id}",
            "first": "id is not null",
            "field": "id",
            "more": "info.more_records",
        },
        "split": {"by": "time", "at_least": "1h"},
        "windows": {column: _window(column, day=columns[column] == "date") for column in times},
        "key": ["id"],
        "columns": columns,
    }


def _column(field: Mapping[str, Any]) -> Any:
    if (known := _BY_DATA_TYPE.get(field.get("data_type", ""))) is not None:
        return known
    match field.get("json_type"):
        case "jsonobject":
            return "struct<id: string, name: string>"
        case "jsonarray":
            return {"type": "string", "read": "json"}
        case other:
            return _PLAIN.get(str(other), "string")


def _window(column: str, *, day: bool) -> dict[str, Any]:
    written = "date" if day else "strftime:%Y-%m-%dT%H:%M:%S+00:00"
    condition = f"({column} >= '{{window.start|{written}}}' and {column} < '{{window.end|{written}}}') and "
    return {"text": condition, "grain": "day" if day else "second", "sides": "both"}
