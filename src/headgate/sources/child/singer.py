"""Taps of Singer: `--discover` tells a catalogue, and a read of it SCHEMA, RECORD and STATE, a line each.

https://hub.meltano.com/singer/spec; what a tap remembers (STATE) is left aside, for a run has its window.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any

from headgate.errors import SourceError
from headgate.model.windows import Window
from headgate.sources.child.process import Job, Program
from headgate.sources.child.reader import ProgramReader, Read, Stream
from headgate.sources.child.schema import columns_of

__all__ = ["SingerReader"]

_CONFIG, _CATALOG = "config.json", "catalog.json"
_SILENT = ("STATE", "ACTIVATE_VERSION")


class SingerReader(ProgramReader):
    """Reads the streams of a tap."""

    def check(self) -> None:
        """Ask for the catalogue: it is all that a tap can be asked."""
        self.discover(self.brief)

    def discover(self, seconds: float) -> Mapping[str, Stream]:
        """The streams of the catalogue that the tap tells by `--discover`."""
        job = Job(("--config", "{folder}/" + _CONFIG, "--discover"), {_CONFIG: self.config_text()}, seconds)
        lines, program = self.written(job, lambda line, _: line)
        try:
            catalog = json.loads(b"\n".join(lines))
            own = self._connector.cursors
            return {entry["tap_stream_id"]: _stream(entry, catalog, own) for entry in catalog["streams"]}
        except (ValueError, LookupError, TypeError, AttributeError):
            raise SourceError(f"{self.title} told no catalogue of Singer by --discover.{program.last_words}") from None

    def reading(self, stream: Stream, window: Window | None, delta: str | None, columns: Sequence[str]) -> Read:
        """Select the one stream and, of it, what is read; from the window's start where the tap can begin at it."""
        cursor = delta if delta in stream.cursors else None
        files = {
            _CONFIG: self.config_text(window if cursor is not None else None),
            _CATALOG: json.dumps(_selected(stream, columns, cursor)),
        }
        arguments = ("--config", "{folder}/" + _CONFIG, "--catalog", "{folder}/" + _CATALOG)
        names = {stream.name, stream.definition["entry"].get("stream")}
        told = [False]

        def take(message: Any) -> Mapping[str, Any] | None:
            kind = message.get("type")
            if kind in ("RECORD", "SCHEMA", "BATCH") and message.get("stream") not in names:
                return None  # of a parent, which some taps give too
            if kind == "RECORD" and isinstance(record := message.get("record"), dict):
                return record
            if kind == "SCHEMA":
                told[0] = True
            elif kind == "BATCH":
                raise SourceError(
                    f"{self.title} gives its records as files (BATCH), which are not read here. Leave batch_config "
                    "out of its configuration."
                )
            elif kind not in _SILENT:
                raise SourceError(f"{self.title} wrote a message that Singer does not know: {str(message)[:200]}")
            return None

        def whole(program: Program) -> None:
            if not told[0]:
                raise SourceError(
                    f"{self.title} ended without having told the SCHEMA of {stream.name!r}: it did not take the "
                    f"selection in its --catalog.{program.last_words}"
                )

        return Read(Job(arguments, files), take, whole)

    def parsed(self, line: bytes, decode: Callable[[str], Any], program: Program) -> Any:  # noqa: ARG002 - as every reader
        """The message in a line. Whatever else a tap writes there may be a record that is lost."""
        if not line.strip():
            return None
        try:
            message = decode(line.decode())
        except ValueError:
            message = None
        if not isinstance(message, dict):
            shown = line[:200].decode(errors="replace")
            raise SourceError(f"{self.title} wrote a line that is no message of Singer: {shown}")
        return message


def _stream(entry: Mapping[str, Any], catalog: Mapping[str, Any], registered: Sequence[str]) -> Stream:
    about = {tuple(each["breadcrumb"]): each["metadata"] for each in entry.get("metadata") or ()}
    without = {path[1] for path, said in about.items() if len(path) == 2 and said.get("inclusion") == "unsupported"}
    own = about.get((), {})
    cursors = [entry.get("replication_key"), own.get("replication-key"), *(own.get("valid-replication-keys") or ())]
    columns = tuple(column for column in columns_of(entry["schema"]) if column.name not in without)
    told = [each for each in cursors if isinstance(each, str)]
    found = tuple(dict.fromkeys(told or [column.name for column in columns if column.name in registered]))
    return Stream(entry["tap_stream_id"], columns, found, {"entry": entry, "catalog": catalog})


def _selected(stream: Stream, columns: Sequence[str], cursor: str | None) -> dict[str, Any]:
    """The catalogue with this stream and those columns selected, and nothing else."""
    catalog: dict[str, Any] = deepcopy(dict(stream.definition["catalog"]))
    for entry in catalog["streams"]:
        this = entry["tap_stream_id"] == stream.name
        about = {tuple(each["breadcrumb"]): each["metadata"] for each in entry.get("metadata") or ()}
        names = entry["schema"].get("properties") or {}
        entry["schema"]["selected"] = this  # where older taps look for it
        for path in ((), *(("properties", name) for name in names)):
            about.setdefault(path, {})
        for path, said in about.items():
            said["selected"] = this and (len(path) < 2 or path[1] in columns)
        if this and cursor is not None:
            about[()] |= {"replication-method": "INCREMENTAL", "replication-key": cursor}
            entry |= {"replication_method": "INCREMENTAL", "replication_key": cursor}
        entry["metadata"] = [{"breadcrumb": list(path), "metadata": said} for path, said in about.items()]
    return catalog
