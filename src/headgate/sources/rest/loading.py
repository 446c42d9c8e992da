"""Reads manifests: YAML, checked against their JSON Schema as a whole, and every text and path in it on its own."""

import json
from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import cache
from importlib import resources
from typing import Any

import yaml

from headgate.model.lake import Column
from headgate.sources.rest.faults import fault_of
from headgate.sources.rest.manifest import (
    Auth,
    BadManifest,
    Errors,
    Format,
    Job,
    Limits,
    Manifest,
    Paging,
    Parameter,
    Poll,
    Read,
    Request,
    Stream,
    WindowFilter,
)
from headgate.sources.rest.paths import Path
from headgate.sources.rest.templates import Template, compiled
from headgate.sources.rest.types import lake_type

__all__ = ["built_in", "loaded", "shipped", "stream_fault", "stream_of"]

_ASKING = ("window", "window.start", "window.end", "last", "columns")
_TIMES = ("timestamptz", "timestamp", "date")
_UNITS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def shipped() -> Sequence[str]:
    """The names of the specs whose manifests come with Headgate."""
    return _shipped()


@cache
def _shipped() -> tuple[str, ...]:
    folder = resources.files("headgate.sources.rest") / "manifests"
    return tuple(sorted(file.name[:-5] for file in folder.iterdir() if file.name.endswith(".yaml")))


def built_in(name: str, auth: Sequence[Mapping[str, Any]]) -> Manifest:
    """The manifest that comes with Headgate for a spec; `auth` are the schemas of its parameters."""
    text = (resources.files("headgate.sources.rest") / "manifests" / f"{name}.yaml").read_text(encoding="utf-8")
    return loaded(text, auth)


def loaded(text: str, auth: Sequence[Mapping[str, Any]] = ()) -> Manifest:
    """The manifest that `text` is. `auth` are JSON Schemas of the parameters of its spec. Raises BadManifest."""
    document, lines = _parsed(text)
    if (fault := fault_of(document, _schema())) is not None:
        raise BadManifest(f"{_place(fault[0], lines)}: {fault[1]}")
    own = document["spec"] if isinstance(document["spec"], dict) else None
    schemas = auth if own is None else own["auth"]
    names = frozenset(name for schema in schemas for name in schema.get("properties", {})) | {"serviceUrl"}
    at: list[str] = []
    try:
        return _manifest(document, own, names, at)
    except ValueError as error:
        raise BadManifest(f"{_place(at, lines)}: {error}") from None


def _manifest(
    document: Mapping[str, Any], own: Mapping[str, Any] | None, names: frozenset[str], at: list[str]
) -> Manifest:
    at[:] = ["base"]
    said = document["base"]
    said = [said] if isinstance(said, str) else said
    if strange := [base for base in said if "://" in base and not base.startswith(("http://", "https://", "{"))]:
        raise ValueError(f"{strange[0]!r} is no address of an API; it begins with https:// or http://")
    bases = [Template.of(base, names) for base in said]
    at[:] = ["auth"]
    said = document["auth"]
    ways = {"": said} if "kind" in said else said
    auth = {name: Auth(about["kind"], compiled(_without(about, "kind"), names)) for name, about in ways.items()}
    at[:] = ["headers"]
    headers = compiled(document.get("headers", {}), names)
    at[:] = ["check"]
    check = _request(document["check"], names) if "check" in document else None
    limits = dict(document.get("limits", {}))
    if "retry" in limits:
        limits["retry"] = frozenset(limits["retry"])
    if "too_many" in limits:
        limits["too_many"] = Path.of(limits["too_many"]["path"]), limits["too_many"]["equals"]
    streams = {}
    for name, about in document.get("streams", {}).items():
        at[:] = ["streams", name]
        streams[name] = stream_of(name, about, names, at)
    return Manifest(
        own["name"] if own is not None else document["spec"],
        own,
        document["verified"],
        bases,
        auth,
        headers,
        check,
        Limits(**limits),
        _errors(document["errors"]) if "errors" in document else None,
        streams,
        document.get("discover"),
        document.get("inline"),
        _parameters(document),
        names,
    )


def stream_of(name: str, about: Mapping[str, Any], names: frozenset[str], at: list[str] | None = None) -> Stream:
    """The stream that a member of `streams` describes; `names` are the parameters of a connection.

    `at` is told which member is looked at. Raises ValueError.
    """
    at = [] if at is None else at
    here = list(at)
    parameters = _parameters(about)
    known = names | parameters.keys()
    asking = known | set(_ASKING)
    at[:] = [*here, "columns"]
    columns, reads = _columns(about["columns"], known, at)
    windows = []
    for column, said in about.get("windows", {}).items():
        at[:] = [*here, "windows", column]
        found = next((made for made in columns if made.name == column), None)
        if found is None or found.type.kind not in _TIMES:
            raise ValueError(f"{column!r} must be one of the columns, and of the type {', '.join(_TIMES)}")
        if "timezone" in said and found.type.kind != "timestamptz":  # the cuts of a window would lie within its days
            raise ValueError(f"{column!r} has no zone, and is asked for as it is written: leave out timezone")
        windows.append(_window(column, said, asking))
    at[:] = [*here, "key"]
    if strangers := [part for part in about.get("key", ()) if part not in reads]:
        raise ValueError(f"{strangers[0]!r} is not one of the columns")
    at[:] = [*here, "request" if "request" in about else "job"]
    request = _request(about["request"], asking) if "request" in about else None
    job = _job(about["job"], asking) if "job" in about else None
    at[:] = [*here, "records"]
    records, error = Path.of(about.get("records", "")), about.get("error")
    at[:] = [*here, "paging"]
    paging = _paging(about.get("paging", {"kind": "none"}))
    split = about.get("split")
    return Stream(
        name,
        about.get("title", name),
        request,
        job,
        records,
        _format(about.get("format", "json")),
        paging,
        tuple(windows),
        _since(about["since"]) if "since" in about else None,
        _duration(split.get("at_least", "1h")) if split else None,
        tuple(about.get("key", ())),
        columns,
        reads,
        parameters,
        Path.of(error) if error else None,
    )


def _parameters(about: Mapping[str, Any]) -> dict[str, Parameter]:
    return {
        key: Parameter(value.get("required", False), value.get("default"), tuple(value.get("alias", ())))
        for key, value in about.get("parameters", {}).items()
    }


def _columns(
    about: Mapping[str, Any], names: frozenset[str], at: list[str]
) -> tuple[tuple[Column, ...], dict[str, Read]]:
    columns, reads, here = [], {}, list(at)
    for name, said in about.items():
        at[:] = [*here, name]
        full = {"type": said} if isinstance(said, str) else said
        type_ = lake_type(full["type"])
        how = full.get("read", "iso")
        if how == "json" and type_.kind != "string":
            raise ValueError("what is read as json is of the type string")
        path = Path.of(full["from"]) if "from" in full else Path.plain(name)
        columns.append(Column(name, type_, full["type"]))
        zone = Template.of(full["zone"], names) if "zone" in full else None
        reads[name] = Read(path, how, full.get("zone"), zone if zone is not None and zone.places else None)
    at[:] = here
    return tuple(columns), reads


def _window(column: str, said: Mapping[str, Any], names: frozenset[str]) -> WindowFilter:
    return WindowFilter(
        column,
        compiled(said.get("query", {}), names),
        compiled(said.get("body", {}), names),
        compiled(said.get("form", {}), names),
        Template.of(said["text"], names) if "text" in said else None,
        said["grain"],
        said["sides"],
        timedelta(days=said["longest_days"]) if "longest_days" in said else None,
        Template.of(said["timezone"], names) if "timezone" in said else None,
        said.get("ordered", False),
    )


def _errors(said: Mapping[str, Any]) -> Errors:
    return Errors(Path.of(said["code"]), frozenset(said.get("again", ())), frozenset(said.get("renew", ())))


def _request(said: Mapping[str, Any], names: frozenset[str]) -> Request:
    return Request(
        said.get("method", "GET"),
        Template.of(said["path"], names),
        compiled(said.get("query") or {}, names),
        compiled(said.get("headers") or {}, names),
        compiled(said.get("body"), names),
        compiled(said.get("form"), names),
        frozenset(said.get("answers", ())),
    )


def _job(said: Mapping[str, Any], names: frozenset[str]) -> Job:
    after = names | {"job.id"}
    poll, download = said["poll"], said["download"]
    return Job(
        _request(said["create"], names),
        Path.of(said["id"]) if "id" in said else None,
        _request(said["start"], after) if "start" in said else None,
        Poll(
            _request(poll["request"], after),
            Path.of(poll["state"]),
            tuple(poll["done"]),
            tuple(poll.get("failed", ())),
            _duration(poll.get("every", "2s")).total_seconds(),
            _duration(poll.get("at_most", "30m")).total_seconds(),
        ),
        _request(download["request"], after) if "request" in download else None,
        Path.of(download["address"]) if "address" in download else None,
        _format(download.get("format", "json")),
        _paging(download.get("paging", {"kind": "none"})),
        Template.of(said["when"], names) if "when" in said else None,
    )


def _paging(said: Mapping[str, Any]) -> Paging:
    about = _without(_without(said, "kind"), "empty")
    for name in ("from", "total", "more", "stop", "field", "full"):
        if name in about and not str(about[name]).startswith("header:"):
            about[name] = Path.of(about[name])
    if "carry" in about:
        about["carry"] = {place: Path.of(path) for place, path in about["carry"].items()}
    return Paging(said["kind"], about, said.get("empty") == "goes_on")


def _format(said: str | Mapping[str, Any]) -> Format:
    return Format(said) if isinstance(said, str) else Format("csv", **said["csv"])


def _duration(text: str) -> timedelta:
    number = text.rstrip("msdh")
    return timedelta(milliseconds=int(number) * _UNITS[text[len(number) :]])


def _since(text: str) -> date | timedelta:
    return date.fromisoformat(text) if "-" in text else _duration(text)


def _without(said: Mapping[str, Any], name: str) -> dict[str, Any]:
    return {key: value for key, value in said.items() if key != name}


def stream_fault(about: Mapping[str, Any]) -> str | None:
    """Why `about` is no stream as a manifest describes one, and where; None when it is one."""
    found = fault_of(about, {"$ref": "#/$defs/stream", "$defs": _schema()["$defs"]})
    if found is None:
        return None
    where = ".".join(str(step) for step in found[0])
    return f"{where}: {found[1]}" if where else found[1]


@cache
def _schema() -> Mapping[str, Any]:
    text = (resources.files("headgate.sources.rest") / "manifest.schema.json").read_text(encoding="utf-8")
    schema: dict[str, Any] = json.loads(text)
    return schema


class _Loader(yaml.SafeLoader):  # type: ignore[misc]
    """YAML whose days stay text, and whose mappings name nothing twice."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - PyYAML's own
        first: [(tag, pattern) for tag, pattern in found if tag != "tag:yaml.org,2002:timestamp"]
        for first, found in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        seen = set()
        for key, _ in node.value:
            if key.value in seen:
                raise BadManifest(f"line {key.start_mark.line + 1}: {key.value!r} stands here twice")
            seen.add(key.value)
        made: dict[Any, Any] = super().construct_mapping(node, deep)
        return made


def _parsed(text: str) -> tuple[Any, Any]:
    """The document, and its nodes, which know their lines."""
    try:
        return yaml.load(text, _Loader), yaml.compose(text, _Loader)  # noqa: S506 - it is a SafeLoader
    except yaml.YAMLError as error:
        raise BadManifest(f"It is no YAML: {' '.join(str(error).split())[:300]}") from None


def _place(path: Sequence[Any], node: Any) -> str:
    for step in path:
        if isinstance(node, yaml.MappingNode):
            found = next((value for key, value in node.value if key.value == str(step)), None)
        else:
            found = node.value[step] if isinstance(node, yaml.SequenceNode) and isinstance(step, int) else None
        if found is None:
            break
        node = found
    where = ".".join(str(step) for step in path) or "the manifest"
    return f"line {node.start_mark.line + 1}, {where}" if node is not None else where
