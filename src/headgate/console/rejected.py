"""The records that a run left out: counted by reason, the first of them by their columns, all as lines of JSON."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from headgate.console.page import Visit
from headgate.errors import HeadgateError
from headgate.model.addresses import ROW_ERRORS, SAMPLE
from headgate.model.permissions import Permission
from headgate.model.runs import Json

__all__ = ["Rejected", "Row", "lines_of", "rejected_of"]

_SHOWN = 20
_WHOLE = "_corrupt_record"


@dataclass(frozen=True, slots=True)
class Row:
    """A record that was left out: its values in the order of the table's columns, and why."""

    values: list[Any]
    message: str
    column: str
    place: str


@dataclass(frozen=True, slots=True)
class Rejected:
    """What is shown of the records that a run left out.

    `reasons` are (code, column, number of records, an example of the sentence), the most frequent first, of the
    `sampled` records that were looked at.
    """

    total: int
    sampled: int
    columns: list[str]
    rows: list[Row]
    reasons: list[tuple[str, str, int, str]]


def rejected_of(visit: Visit, run: Json) -> Rejected | None:
    """The first records that a run left out, for who may see data; None when there are none, or none are kept."""
    total = run["metrics"].get("recordSummary", {}).get("failedRecordCount", 0)
    if not total or not visit.may(Permission.VIEW_DATASETS):
        return None
    try:
        text = visit.service.data_access.meta(visit.caller, run["id"], [("path", SAMPLE)])
    except HeadgateError:  # they are kept for some time only
        return None
    records = [json.loads(line) for line in str(text).split("\n") if line]
    counted: dict[tuple[str, str], tuple[int, str]] = {}
    for record in records:
        why = _why(record)
        key = (why.get("code", ""), why.get("column") or "")
        number, example = counted.get(key, (0, why.get("message", "")))
        counted[key] = (number + 1, example)
    columns = list(dict.fromkeys(name for each in records[:_SHOWN] for name in each if _is_column(name)))
    return Rejected(
        total=total,
        sampled=len(records),
        columns=columns,
        rows=[_row(each, columns) for each in records[:_SHOWN]],
        reasons=sorted(((*key, *found) for key, found in counted.items()), key=lambda each: -each[2]),
    )


def lines_of(visit: Visit, run_id: str) -> Iterator[str]:
    """All records that are kept of those that a run left out, file by file. Raises BatchNotFound at once."""
    names: list[str] = []
    while True:
        asked = [("path", ROW_ERRORS), ("start", str(len(names)))]
        found = visit.service.data_access.meta(visit.caller, run_id, asked)
        if not isinstance(found, dict) or not found["data"]:
            break
        names += [str(each["name"]) for each in found["data"]]
    return (str(visit.service.data_access.meta(visit.caller, run_id, [("path", name)])) for name in names)


def _row(record: Json, columns: list[str]) -> Row:
    why = _why(record)
    line = f" line {why['line']}" if why.get("line") else ""
    return Row(
        values=[record.get(name) for name in columns],
        message=why.get("message", ""),
        column=_WHOLE if _WHOLE in record else why.get("column") or "",
        place=f"{why.get('file') or ''}{line}",
    )


def _why(record: Json) -> Json:
    found: Json = (record.get("_errors") or [{}])[0]
    return found


def _is_column(name: str) -> bool:
    return name == _WHOLE or name not in ("_errors", "_filename")
