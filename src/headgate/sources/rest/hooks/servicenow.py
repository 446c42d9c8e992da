"""ServiceNow: which tables an instance has, and what their columns hold, from its own dictionary."""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from headgate.errors import SourceObjectMissing
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.records import document

__all__ = ["about", "stream_about", "streams"]

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,79}")
_PLAIN: Mapping[str, Any] = {
    "boolean": "boolean",
    "integer": "long",
    "longint": "long",
    "float": "double",
    "decimal": "decimal(38,10)",
    "glide_date": "date",
    "glide_date_time": {"type": "timestamptz", "read": "strptime:%Y-%m-%d %H:%M:%S"},
    "due_date": {"type": "timestamptz", "read": "strptime:%Y-%m-%d %H:%M:%S"},
}
_CHANGED = ("sys_updated_on", "sys_created_on")
_TOGETHER = 1000


def streams(asking: Asking) -> Sequence[str]:
    """The names of the tables."""
    rows = _rows(asking, "sys_db_object", "ORDERBYname", "name")
    return [row["name"] for row in rows if _NAME.fullmatch(row.get("name", ""))]


def about(asking: Asking, name: str) -> Mapping[str, Any]:
    """What a manifest would say of the table, with the columns that it inherits. Raises SourceObjectMissing."""
    line: list[str] = []
    at = name
    while _NAME.fullmatch(at) and at not in line:
        found = next(_rows(asking, "sys_db_object", f"name={at}", "name,super_class.name"), None)
        if found is None:
            break
        line.append(at)
        at = found.get("super_class.name") or ""
    if not line:
        raise SourceObjectMissing(f"{asking.title} has no table {name[:100]!r}.")
    query = f"nameIN{','.join(line)}^elementISNOTEMPTY^active=true^ORDERBYelement"
    return stream_about(name, _rows(asking, "sys_dictionary", query, "element,internal_type"))


def _rows(asking: Asking, table: str, query: str, fields: str) -> Iterator[Mapping[str, str]]:
    at = 0
    while True:
        asked = {
            "sysparm_query": query,
            "sysparm_fields": fields,
            "sysparm_display_value": "false",
            "sysparm_exclude_reference_link": "true",
            "sysparm_limit": _TOGETHER,
            "sysparm_offset": at,
        }
        answer = asking.answer(Ask("GET", f"{asking.base}/table/{table}", query=asked))
        rows = (document(answer.content, asking.title) or {}).get("result", [])
        yield from rows
        if len(rows) < _TOGETHER:
            return
        at += len(rows)


def stream_about(name: str, dictionary: Iterable[Mapping[str, str]]) -> dict[str, Any]:
    """What a manifest would say of the table `name`, whose columns are those of `dictionary`.

    Pages follow one another by `sys_id`, so that a record which changes during the read moves no other one. Times are
    UTC, in what is asked and in what comes.
    """
    columns: dict[str, Any] = {"sys_id": "string"}
    for row in dictionary:
        element, type_ = row.get("element", ""), row.get("internal_type", "")
        if _NAME.fullmatch(element) and type_ != "collection":
            columns.setdefault(element, _PLAIN.get(type_, "string"))
    times = [column for column, said in columns.items() if said == "date" or isinstance(said, Mapping)]
    times.sort(key=lambda column: _CHANGED.index(column) if column in _CHANGED else len(_CHANGED))
    return {
        "title": name,
        "request": {
            "path": f"/table/{name}",
            "query": {
                "sysparm_query": "{window}{last}ORDERBYsys_id",
                "sysparm_fields": "{columns}",
                "sysparm_display_value": "false",
                "sysparm_exclude_reference_link": "true",
                "sysparm_limit": _TOGETHER,
            },
        },
        "records": "result",
        "paging": {
            "kind": "last_id",
            "text": "sys_id>{id}^",
            "field": "sys_id",
            "hidden": {"left": "X-Total-Count", "parameter": "sysparm_offset", "by": _TOGETHER},
        },
        "split": {"by": "time", "at_least": "1h"},
        "windows": {column: _window(column, day=columns[column] == "date") for column in times},
        "key": ["sys_id"],
        "columns": columns,
    }


def _window(column: str, *, day: bool) -> dict[str, Any]:
    written = "date" if day else "strftime:%Y-%m-%d %H:%M:%S"
    condition = f"{column}>={{window.start|{written}}}^{column}<{{window.end|{written}}}^"
    return {"text": condition, "grain": "day" if day else "second", "sides": "both"}
