"""Connectors of Airbyte, run without Docker: `check`, `discover` and `read`, which tell messages, a line each.

https://docs.airbyte.com/platform/understanding-airbyte/airbyte-protocol; what a connector remembers (STATE) is left
aside, for a run has its window.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from headgate.errors import SourceAccessDenied, SourceError, SourceUnreachable
from headgate.model.lake import LakeType
from headgate.model.run_log import Level
from headgate.model.windows import Window
from headgate.sources.child.process import Job, Program
from headgate.sources.child.reader import ProgramReader, Read, Stream, before
from headgate.sources.child.schema import columns_of

__all__ = ["AirbyteReader"]

_CONFIG, _CATALOG, _STATE = "config.json", "catalog.json", "state.json"
_TIMES = ("timestamptz", "timestamp", "date")
_LEVELS: dict[str, Level] = {"FATAL": "error", "ERROR": "error", "WARN": "warning"}


class AirbyteReader(ProgramReader):
    """Reads the streams of a connector."""

    def check(self) -> None:
        """Have the connector test its configuration. Raises SourceAccessDenied with what it says."""
        messages, program = self.written(self._job("check", {}, self.brief), self._told)
        status = next(
            (found.get("connectionStatus") for found in messages if found["type"] == "CONNECTION_STATUS"), None
        )
        if not isinstance(status, dict):
            raise SourceError(f"{self.title} did not tell the status of the connection.{program.last_words}")
        if status.get("status") != "SUCCEEDED":
            raise SourceAccessDenied(f"{self.title} refuses the connection: {str(status.get('message'))[:1000]}")

    def discover(self, seconds: float) -> Mapping[str, Stream]:
        """The streams of the catalogue that the connector tells by `discover`."""
        messages, program = self.written(self._job("discover", {}, seconds), self._told)
        try:
            catalog = next(found["catalog"] for found in messages if found["type"] == "CATALOG")
            return {stream.name: stream for stream in map(_stream, catalog["streams"])}
        except (StopIteration, LookupError, TypeError, AttributeError):
            raise SourceError(f"{self.title} told no catalogue of Airbyte by discover.{program.last_words}") from None

    def reading(
        self,
        stream: Stream,
        window: Window | None,
        delta: str | None,
        columns: Sequence[str],  # noqa: ARG002 - a connector gives whole records
    ) -> Read:
        """Read one stream: from the window's start where the connector can begin at it, else all of it."""
        cursor = delta if window is not None and delta in stream.cursors else None
        about = stream.definition
        modes = about.get("supported_sync_modes") or ["full_refresh"]
        mode = "full_refresh" if "full_refresh" in modes and cursor is None else "incremental"
        configured = {
            "stream": about,
            "sync_mode": mode,
            "destination_sync_mode": "append",
            "primary_key": about.get("source_defined_primary_key") or [],
            "cursor_field": [cursor] if cursor is not None else about.get("default_cursor_field") or [],
        }
        files = {_CATALOG: json.dumps({"streams": [configured]})}
        if cursor is not None and window is not None:
            files[_STATE] = json.dumps([_state(stream, cursor, window)])
        job = self._job("read", files, None, window if cursor is not None else None)
        name, namespace = about["name"], about.get("namespace")
        statuses: set[str] = set()

        def take(message: Any) -> Mapping[str, Any] | None:
            match message.get("type"):
                case "RECORD":
                    found = message["record"]
                    if found.get("stream") == name and found.get("namespace") == namespace:
                        record: Mapping[str, Any] = found["data"]
                        return record
                case "TRACE":
                    statuses.update(self._traced(message["trace"]))
            return None

        def whole(program: Program) -> None:
            if "INCOMPLETE" in statuses:
                raise SourceUnreachable(
                    f"{self.title} said that it gave {stream.name!r} only in part.{program.last_words}"
                )

        return Read(job, take, whole)

    def parsed(self, line: bytes, decode: Callable[[str], Any], program: Program) -> Any:
        """The message in a line. What does not begin as one is something that the connector says of itself."""
        if not line.lstrip().startswith(b"{"):
            program.said(line.decode(errors="replace"))
            return None
        try:
            message = decode(line.decode())
        except ValueError:
            message = None
        if not isinstance(message, dict) or not isinstance(message.get("type"), str):
            shown = line[:200].decode(errors="replace")
            raise SourceError(f"{self.title} wrote a line that is no message of Airbyte: {shown}")
        if message["type"] == "LOG":
            said = message.get("log") or {}
            program.said(str(said.get("message", "")), _LEVELS.get(str(said.get("level")), "info"))
            return None
        return message

    def _job(self, verb: str, files: Mapping[str, str], seconds: float | None, window: Window | None = None) -> Job:
        arguments = [verb, "--config", "{folder}/" + _CONFIG]
        for option, name in (("--catalog", _CATALOG), ("--state", _STATE)):
            arguments += [option, "{folder}/" + name] if name in files else []
        return Job(arguments, {_CONFIG: self.config_text(window), **files}, seconds)

    def _told(self, line: bytes, program: Program) -> Any:
        """The message in a line. Raises SourceError for an error that it tells."""
        message = self.parsed(line, json.loads, program)
        if message is not None and message["type"] == "TRACE":
            self._traced(message["trace"])
        return message

    def _traced(self, trace: Mapping[str, Any]) -> list[str]:
        """The status of a stream that a TRACE tells. Raises SourceError for an error that it tells."""
        if trace.get("type") == "ERROR":
            error = trace.get("error") or {}
            said = " ".join(str(error[word]) for word in ("message", "internal_message") if error.get(word))
            kind = SourceUnreachable if error.get("failure_type") == "transient_error" else SourceError
            raise kind(f"{self.title}: {said[:2000]}")
        status = (trace.get("stream_status") or {}).get("status")
        return [str(status)] if status else []


def _stream(about: Mapping[str, Any]) -> Stream:
    name = str(about["name"])
    if about.get("namespace"):
        name = f"{about['namespace']}.{name}"
    columns = columns_of(about["json_schema"])
    cursors: tuple[str, ...] = ()
    if "incremental" in (about.get("supported_sync_modes") or ()):
        default = about.get("default_cursor_field") or []
        if len(default) == 1:
            cursors = (str(default[0]),)
        elif not default and not about.get("source_defined_cursor"):
            cursors = tuple(column.name for column in columns)
    by_name = {column.name: column.type for column in columns}
    return Stream(name, columns, tuple(each for each in cursors if _tells_time(by_name.get(each))), about)


def _tells_time(type_: LakeType | None) -> bool:
    return type_ is not None and type_.kind in _TIMES


def _state(stream: Stream, cursor: str, window: Window) -> dict[str, Any]:
    """What the connector would remember if it had read everything before the window."""
    kind = next(column.type.kind for column in stream.columns if column.name == cursor)
    at = before(window, day=kind == "date")
    about = stream.definition
    descriptor = {"name": about["name"], **({"namespace": about["namespace"]} if about.get("namespace") else {})}
    return {"type": "STREAM", "stream": {"stream_descriptor": descriptor, "stream_state": {cursor: at}}}
