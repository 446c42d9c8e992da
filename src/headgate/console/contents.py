"""What a connection reaches, as pages show it: its tables, folders and files, and the first rows of one."""

import json
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.console.draft import resource_params
from headgate.console.page import Visit
from headgate.errors import HeadgateError
from headgate.model.runs import Json

__all__ = ["FORMATS", "Contents", "Entries", "Shown"]

FORMATS: Mapping[str, Sequence[tuple[str, str]]] = {
    "fileType": [
        ("", "find it in the file"),
        ("delimited", "delimited text (CSV, TSV)"),
        ("json", "JSON"),
        ("parquet", "Parquet"),
        ("avro", "Avro"),
        ("orc", "ORC"),
    ],
    "columnDelimiter": [
        ("", "as the format has it"),
        (",", "comma"),
        ("\\t", "tab"),
        ("|", "pipe"),
        (";", "semicolon"),
    ],
    "compressionType": [
        ("", "as the name says"),
        *((one, one) for one in ("none", "gzip", "bzip2", "deflate", "zipDeflate", "tar", "tarGzip", "zstd", "xz")),
    ],
    "encoding": [
        ("", "as the format has it"),
        *((one, one) for one in ("UTF-8", "ISO-8859-1", "UTF-16", "UTF-16LE", "UTF-16BE")),
    ],
}
"""What may be said of how a file is written, by the names of the API's parameters."""

_MOST = 500


@dataclass(frozen=True, slots=True)
class Entries:
    """One level of the tree. `left_out` are those that match and are not shown; `error` is why there are none."""

    items: Sequence[Json] = ()
    left_out: int = 0
    error: HeadgateError | None = None


@dataclass(frozen=True, slots=True)
class Shown:
    """The columns and first rows of a table or file, or why they cannot be shown.

    `properties` say how a file is written. `delta` are the candidates for a run's delta column, the likeliest first.
    """

    columns: Sequence[tuple[str, str]] = ()
    rows: Sequence[Sequence[Any]] = ()
    records: Sequence[Json] = ()
    delta: Sequence[Json] = ()
    properties: Mapping[str, str] = field(default_factory=dict)
    unsupported: Sequence[Json] = ()
    error: HeadgateError | None = None

    @property
    def names(self) -> list[str]:
        """The names of the columns."""
        return [name for name, _ in self.columns]


@dataclass(frozen=True, slots=True)
class Contents:
    """What is reached through a connection or, where none is needed, through a connection spec itself."""

    visit: Visit
    connection: str
    spec: str
    reads: str

    def entries(self, folder: str = "", search: str = "") -> Entries:
        """What is in a folder, or at the root; of these, what has a text in its name."""
        asked = [("objectType", "folder"), ("object", folder)] if folder else [("objectType", "root")]
        try:
            found = self._explore(asked)
        except HeadgateError as error:
            return Entries(error=_told(error))
        matching = [entry for entry in found if search.casefold() in entry["name"].casefold()]
        return Entries(matching[:_MOST], max(0, len(matching) - _MOST))

    def show(self, path: str, how: Mapping[str, str]) -> Shown:
        """The first rows of what is chosen; of a file as `how` says that it is written, or as is found in it."""
        asked = [("objectType", self.reads), ("object", path), ("preview", "true")]
        if self.reads == "file":
            given = [(name, how[name]) for name in FORMATS if how.get(name)]
            asked += given if how.get("fileType") else [("determineProperties", "true")]
        try:
            if self.reads == "resource":
                params = b64encode(json.dumps(resource_params(path)).encode()).decode()
                asked = [("objectType", "rest"), ("object", "json"), ("sourceParams", params), ("preview", "true")]
            found = self._explore(asked)
        except HeadgateError as error:
            return Shown(error=_told(error))
        columns = _columns(found)
        records = found.get("data", [])
        return Shown(
            columns,
            [[record.get(name) for name, _ in columns] for record in records],
            records,
            found.get("deltaColumns", []),
            found.get("properties", {}),
            found.get("unsupported", []),
        )

    def _explore(self, asked: list[tuple[str, str]]) -> Any:
        exploring, caller = self.visit.service.exploring, self.visit.caller
        if self.connection:
            return exploring.connection(caller, self.connection, asked)
        return exploring.spec(caller, self.spec, asked)


def _told(error: HeadgateError) -> HeadgateError:
    """The error, when a reader can do something about it; else it is raised again."""
    if error.status >= 500 and not error.retryable:
        raise error
    return error


def _columns(found: Json) -> list[tuple[str, str]]:
    schema = found["schema"]
    if "columns" in schema:
        return [(column["name"], _word(column)) for column in schema["columns"]]
    return [(name, _word(about)) for name, about in schema["properties"].items()]


def _word(column: Json) -> str:
    """A column's type in a word: dates and times by name, which JSON's types do not tell from texts."""
    kind, type_ = str(column.get("meta:xdmType", "")), str(column.get("type", ""))
    return {"date-time": "timestamp", "date": "date"}.get(kind, type_ or kind)
