"""Which programs connections may name: an operator registers them, in a file or a folder of files.

A connection says which one, and its configuration; never what is run. A program has the rights of the account that runs
the service, so that what a connection may tell it is the operator's to limit, too.
"""

import json
import os
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, cast

from jsonschema import Draft202012Validator

from headgate.errors import BadParameter, SourceError
from headgate.model.scope import Tenancy

__all__ = ["Connector", "Protocol", "registered", "the_connector"]

Protocol = Literal["singer", "airbyte"]

_OWN = "HEADGATE_"
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SCHEMA = {
    "type": "object",
    "additionalProperties": {
        "type": "object",
        "properties": {
            "protocol": {"enum": ["singer", "airbyte"]},
            "title": {"type": "string", "minLength": 1},
            "command": {**_TEXTS, "minItems": 1},
            "arguments": _TEXTS,
            "config": {"type": "object"},
            "parameters": _TEXTS,
            "organisations": _TEXTS,
            "environment": {"type": "array", "items": {"type": "string", "pattern": "^[A-Za-z_][A-Za-z0-9_]*$"}},
            "start": {"type": ["string", "null"]},
            "end": {"type": ["string", "null"]},
            "cursors": _TEXTS,
            "timezone": {"type": "string", "pattern": "^(UTC|[+-][0-9]{2}:[0-9]{2})$"},
            "memory": {"type": "integer", "minimum": 16_000_000},
            "disk": {"type": "integer", "minimum": 1_000_000},
            "silence": {"type": "number", "exclusiveMinimum": 0},
            "discovery": {"type": "number", "exclusiveMinimum": 0},
        },
        "required": ["protocol", "command"],
        "additionalProperties": False,
    },
}
_SUFFIXES = (".yaml", ".yml", ".json")


@dataclass(frozen=True, slots=True)
class Connector:
    """One registered program.

    `command` begins with the absolute path of a program; `arguments` follow those of the protocol. `config` are members
    that no connection changes, `parameters` those that connections may give: None for any while there is one
    organisation, and none when there are several. `organisations` are the ids of those that may use it, None for all.
    `environment` names variables of the service's environment that it gets. `start` and `end` are the members of its
    configuration that say which times are asked for; `cursors` are the columns that a tap takes these for, where its
    catalogue does not say so. `timezone` is UTC, or the offset, of times that come without one.
    `memory` is in bytes, `disk` the bytes of any file it writes,
    `silence` the seconds that it may write nothing while it reads, `discovery` those it has to tell its streams.
    """

    name: str
    protocol: Protocol
    command: tuple[str, ...]
    title: str = ""
    arguments: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    parameters: frozenset[str] | None = None
    organisations: frozenset[str] | None = None
    environment: tuple[str, ...] = ()
    start: str | None = "start_date"
    end: str | None = None
    cursors: tuple[str, ...] = ()
    timezone: str | None = None
    memory: int = 4_000_000_000
    disk: int = 1_000_000_000
    silence: float = 900.0
    discovery: float = 120.0

    def given_environment(self) -> dict[str, str]:
        """All that the program finds in its environment, beside HOME and TMPDIR: nothing of the service's own."""
        path = os.pathsep.join((str(Path(self.command[0]).parent), "/usr/local/bin", "/usr/bin", "/bin"))
        handed = {name: os.environ[name] for name in self.environment if name in os.environ}
        return {"PATH": path, "LANG": "C.UTF-8", "TZ": "UTC", **handed}

    def config_of(self, given: Mapping[str, Any], *, shared: bool) -> dict[str, Any]:
        """The configuration of a connection that gives `given`. Raises BadParameter naming a member."""
        for name in given:
            if name in self.config:
                raise BadParameter(f"config.{name[:80]} is set by the operator here; leave it out.", field="config")
            allowed = self.parameters if self.parameters is not None else (frozenset() if shared else None)
            if allowed is not None and name not in allowed:
                listed = ", ".join(sorted(allowed)) or "none"
                raise BadParameter(
                    f"config.{name[:80]} may not be given for {self.title}; its registration's `parameters` lists "
                    f"which may: {listed}.",
                    field="config",
                )
        return {**given, **self.config}

    def open_to(self, tenancy: Tenancy) -> bool:
        """Whether an organisation may use it."""
        return self.organisations is None or tenancy.org_id in self.organisations


def registered(place: Path | None) -> dict[str, Connector]:
    """The programs that the file, or the files of the folder, `place` registers, by name.

    Raises SourceError for what cannot be read, for members that are unknown or wrong, and for a file that anybody may
    write.
    """
    found: dict[str, Connector] = {}
    for path in _files(place):
        for name, entry in _document(path).items():
            if name in found:
                raise SourceError(f"{path} registers {name!r}, which another file has registered.")
            found[name] = _connector(name, entry, path)
    return found


def the_connector(name: object, protocol: Protocol, place: Path | None, tenancy: Tenancy) -> Connector:
    """The registered program of that name. Raises BadParameter, saying which there are, and SourceError."""
    known = {
        each.name: each for each in registered(place).values() if each.protocol == protocol and each.open_to(tenancy)
    }
    found = known.get(name) if isinstance(name, str) else None
    if found is None:
        listed = ", ".join(sorted(known)) or "none"
        raise BadParameter(
            f"The connector {str(name)[:80]!r} is not registered here for {protocol}; HEADGATE_CONNECTORS lists which "
            f"are: {listed}.",
            field="connector",
        )
    return found


def _files(place: Path | None) -> Iterator[Path]:
    if place is None:
        return
    path = place.expanduser()
    if path.is_dir():
        yield from sorted(file for file in path.iterdir() if file.suffix in _SUFFIXES)
    else:
        yield path


def _document(path: Path) -> dict[str, Any]:
    import yaml  # it takes longer to load than what does not need it

    try:
        if path.stat().st_mode & stat.S_IWOTH:
            raise SourceError(f"{path} names programs, and anybody may write it. Run: chmod o-w {path}")
        document = yaml.safe_load(path.read_text(encoding="utf-8")) or {}  # JSON is YAML
    except OSError as error:
        raise SourceError(f"{path}, which HEADGATE_CONNECTORS names, cannot be read: {error.strerror}.") from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SourceError(f"{path} is neither YAML nor JSON: {' '.join(str(error).split())[:300]}") from None
    fault = next(iter(sorted(Draft202012Validator(_SCHEMA).iter_errors(document), key=str)), None)
    if fault is not None:
        where = ".".join(str(part) for part in fault.absolute_path) or "the document"
        raise SourceError(f"{path}: {where} is wrong: {fault.message[:300]}")
    return cast(dict[str, Any], document)


def _connector(name: str, entry: Mapping[str, Any], path: Path) -> Connector:
    program = entry["command"][0]
    if not Path(program).is_absolute():
        raise SourceError(f"{path}: {name}.command begins with {program!r}; it must be the absolute path of a program.")
    if own := next((each for each in entry.get("environment", ()) if each.upper().startswith(_OWN)), None):
        raise SourceError(f"{path}: {name}.environment names {own}, which is the service's own.")
    lists = ("command", "arguments", "environment", "cursors")
    sets = ("parameters", "organisations")
    return Connector(
        name,
        **{
            "title": name,
            **entry,
            **{each: tuple(entry[each]) for each in lists if each in entry},
            **{each: frozenset(entry[each]) for each in sets if each in entry},
            # As JSON has it: YAML's times become texts.
            "config": json.loads(json.dumps(entry.get("config", {}), default=str)),
        },
    )
