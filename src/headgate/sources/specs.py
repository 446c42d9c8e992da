"""The catalogue: which kinds of systems can be connected, and which flows can be built on them.

The facts are data, in `catalog/`: one file per category of connection specs, `kinds.json` with what all
tables, all files or all targets share, and `flows.json`. A spec that is not `runnable` is only listed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any, Literal

from headgate.sources import plugins
from headgate.sources.context import Factory
from headgate.sources.plugins import SourcePlugin

__all__ = [
    "AuthSpec",
    "ConnectionSpec",
    "FlowSpec",
    "Plugged",
    "connection_specs",
    "flow_specs",
    "plugged",
    "take_manifests",
]

_PROVIDER_ID = "0ed90a81-07f4-4586-8190-b40eccef1c5a"
_PERMISSIONS = {
    member: [{"@type": "lowLevel", "name": "EnterpriseSource", "permissions": [permission]}]
    for member, permission in (("view", "read"), ("manage", "write"))
}
_DRAFT = "http://json-schema.org/draft-07/schema#"

_FILTER_AT_SOURCE = {
    "enabled": True,
    "queryLanguage": "SQL",
    "logicalOperators": ["and", "or", "not"],
    "comparisonOperators": ["=", "!=", "<", "<=", ">", ">=", "like", "in", "isNull"],
    "columnNameEscapeChar": '"',
    "valueEscapeChar": "'",
}

Verified = Literal["server", "interface", "vendor", "openapi", "documented"]

Kind = Literal["table", "file", "rest", "stream", "export", "target", "destination", "custom"]


@dataclass(frozen=True, slots=True)
class AuthSpec:
    """One way to authenticate: its name is what a connection repeats as `auth.specName`.

    `schema` is the JSON Schema (draft 7) of `auth.params`.
    """

    name: str
    type: str
    schema: Mapping[str, Any]

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the parameters that are never shown again."""
        return frozenset(name for name, about in self.properties.items() if about.get("format") == "password")

    @property
    def properties(self) -> dict[str, Mapping[str, Any]]:
        """What the schema says of each parameter."""
        declared = self.schema.get("properties", {})
        return {name: about for name, about in declared.items() if isinstance(about, Mapping)}


@dataclass(frozen=True, slots=True)
class ConnectionSpec:
    """A kind of system. `category` is the key the console groups by, `title` the name a person reads.

    `runnable` says whether flows on it can run; `auth_optional` whether a connection may leave `auth` out; `public_id`
    whether the id is the public Flow Service's, else our own; `filters_rows` whether the system itself applies a row
    filter; `folders` whether its tables are explored schema by schema; `verified` what a runnable source is tested
    against: a real `server`, or file, or only the `interface` of its driver; of an API, the `vendor` itself, a server
    made from its `openapi` description, or one made from what is `documented`. A spec without `auth_specs` needs no
    account at all. One of the kind `custom` was described by an organisation: it is only listed, and its schemas tell
    which parameters are secrets, but judge nothing.
    """

    id: str
    name: str
    title: str
    description: str
    category: str
    kind: Kind
    runnable: bool
    auth_specs: tuple[AuthSpec, ...]
    auth_optional: bool
    shape: Mapping[str, Any]
    public_id: bool = True
    filters_rows: bool = False
    folders: bool = False
    verified: Verified | None = None
    version: str = "1.0"
    provider_id: str = _PROVIDER_ID

    def auth_spec(self, name: str) -> AuthSpec | None:
        """The authentication spec with exactly this name."""
        return next((spec for spec in self.auth_specs if spec.name == name), None)

    @property
    def secrets(self) -> frozenset[str]:
        """The names of the secret parameters of every authentication spec."""
        return frozenset().union(*(auth.secrets for auth in self.auth_specs))

    @classmethod
    def custom(cls, stored: Mapping[str, Any]) -> "ConnectionSpec":
        """The spec that an organisation described, from its stored form."""
        return cls(
            id=stored["id"],
            name=stored["name"],
            title=stored["name"],
            description=stored.get("description", ""),
            category="",
            kind="custom",
            runnable=False,
            auth_specs=tuple(
                AuthSpec(auth["name"], auth.get("type", ""), auth.get("spec") or {}) for auth in stored["authSpec"]
            ),
            auth_optional=True,
            shape=stored,
            public_id=False,
            provider_id=stored["providerId"],
        )

    @property
    def is_source(self) -> bool:
        """Whether it is read from."""
        return self.kind not in ("target", "destination")

    @property
    def frequency(self) -> str:
        """Whether records come one by one, or in batches."""
        return "streaming" if self.kind == "stream" else "batch"

    @property
    def params_schema(self) -> Mapping[str, Any]:
        """The JSON Schema of `params` of a source connection, or of a target connection."""
        if self.kind == "custom":
            return {"type": "object", "properties": {}}
        schema: Mapping[str, Any] = self.shape["sourceSpec" if self.is_source else "targetSpec"]["spec"]
        return schema

    @property
    def wire(self) -> dict[str, Any]:
        """The spec as the API answers it."""
        shape: dict[str, Any] = dict(self.shape)
        if self.kind == "custom":
            return shape
        if self.is_source:
            shape["sourceSpec"] = {
                **shape["sourceSpec"],
                "attributes": {
                    "uiAttributes": {
                        "isSource": True,
                        "category": {"key": self.category},
                        "icon": {"key": self.name},
                        "label": {"key": self.title},
                        "description": {"key": self.description},
                        "frequency": {"key": self.frequency},
                    }
                },
            }
        return {
            "id": self.id,
            "name": self.name,
            "providerId": self.provider_id,
            "version": self.version,
            "authSpec": [{"name": auth.name, "type": auth.type, "spec": auth.schema} for auth in self.auth_specs],
            **shape,
            "attributes": {
                "category": self.category,
                "connectorName": self.title,
                "isSource": self.is_source,
                "frequency": self.frequency,
                "status": "runnable" if self.runnable else "listed",
                "publicId": self.public_id,
                "description": self.description,
                "uiAttributes": {"apiFeatures": {"explorePaginationSupported": False}},
                **({"verified": self.verified} if self.verified else {}),
                **({"authOptional": True} if self.auth_optional else {}),
                **({"filterAtSource": _FILTER_AT_SOURCE} if self.filters_rows else {}),
            },
            "permissionsInfo": _PERMISSIONS,
        }


@dataclass(frozen=True, slots=True)
class FlowSpec:
    """A kind of flow: from any of its source connection specs to any of its target connection specs.

    `runnable` says whether any of them can run; else it is only listed.
    """

    id: str
    name: str
    kind: Kind
    source_connection_spec_ids: tuple[str, ...]
    target_connection_spec_ids: tuple[str, ...]
    runnable: bool
    shape: Mapping[str, Any]
    version: str = "1.0"
    provider_id: str = _PROVIDER_ID

    @property
    def needs_delta_column(self) -> bool:
        """Whether a run reads by a delta column; a flow on files reads by their last-modified time."""
        return self.kind in ("table", "rest")

    @property
    def wire(self) -> dict[str, Any]:
        """The spec as the API answers it."""
        return {
            "id": self.id,
            "name": self.name,
            "providerId": self.provider_id,
            "version": self.version,
            "sourceConnectionSpecIds": list(self.source_connection_spec_ids),
            "targetConnectionSpecIds": list(self.target_connection_spec_ids),
            **self.shape,
            "attributes": {
                "isSourceFlow": self.kind != "export",
                "flacValidationSupported": False,
                "frequency": "streaming" if self.kind == "stream" else "batch",
                "status": "runnable" if self.runnable else "listed",
                "notification": {"category": "sources", "flowRun": {"enabled": True}},
            },
            "permissionsInfo": _PERMISSIONS,
        }


@dataclass(frozen=True, slots=True)
class Plugged:
    """What plug-ins and own manifests bring: specs, what opens each by its id, and why others are not used."""

    specs: tuple[ConnectionSpec, ...]
    factories: Mapping[str, Factory]
    broken: tuple[str, ...]


def take_manifests(folder: Path | None) -> None:
    """Have the catalogue hold what the manifests in `folder` describe, from now on and in all of this process."""
    global _manifests
    if folder == _manifests:
        return
    _manifests = folder
    for known in (plugged, connection_specs, flow_specs):
        known.cache_clear()


_manifests: Path | None = None


@cache
def connection_specs() -> tuple[ConnectionSpec, ...]:
    """Every connection spec, those of plug-ins too: the runnable ones first, then by name."""
    return tuple(sorted((*_catalogue(), *plugged().specs), key=lambda spec: (not spec.runnable, spec.name)))


@cache
def plugged() -> Plugged:
    """What the plug-ins and own manifests bring that can be used."""
    kinds = _load("kinds.json")
    taken = {word for spec in _catalogue() for word in (spec.id, spec.name)}
    specs: list[ConnectionSpec] = []

    def accept(plugin: SourcePlugin) -> str | None:
        spec = {"verified": "interface", **plugin.spec, "runnable": True, "publicId": False}
        made = _connection_spec(spec, plugin.spec["category"], kinds[plugin.spec["kind"]])
        if clash := {made.id, made.name} & taken:
            return f"another connection spec has {sorted(clash)[0]!r}, too"
        taken.update((made.id, made.name))
        specs.append(made)
        return None

    offers = [*plugins.installed()]
    if _manifests is not None:
        from headgate.sources.rest.own import offers as written

        offers += written(_manifests)
    found, broken = plugins.load(offers, accept)
    return Plugged(tuple(specs), {plugin.spec["id"]: plugin.open for plugin in found}, tuple(broken))


@cache
def _catalogue() -> tuple[ConnectionSpec, ...]:
    kinds = _load("kinds.json")
    files = resources.files(__package__) / "catalog" / "connections"
    specs = []
    for file in files.iterdir():
        group = json.loads(file.read_text(encoding="utf-8"))
        specs += [_connection_spec(entry, group["category"], kinds[entry["kind"]]) for entry in group["specs"]]
    return tuple(specs)


@cache
def flow_specs() -> tuple[FlowSpec, ...]:
    """Every flow spec."""
    about = _load("flows.json")
    of_kind: dict[str, list[ConnectionSpec]] = {}
    for spec in connection_specs():
        of_kind.setdefault(spec.kind, []).append(spec)
    return tuple(
        FlowSpec(
            id=entry["id"],
            name=entry["name"],
            kind=entry["kind"],
            source_connection_spec_ids=tuple(spec.id for spec in of_kind[entry["kind"]]),
            target_connection_spec_ids=tuple(spec.id for spec in of_kind[entry.get("targets", "target")]),
            runnable=any(spec.runnable for spec in of_kind[entry["kind"]]),
            shape=_flow_shape(entry, about),
        )
        for entry in about["specs"]
    )


def _connection_spec(entry: Mapping[str, Any], category: str, shape: Mapping[str, Any]) -> ConnectionSpec:
    return ConnectionSpec(
        id=entry["id"],
        name=entry["name"],
        title=entry["title"],
        description=entry["description"],
        category=category,
        kind=entry["kind"],
        runnable=entry.get("runnable", False),
        auth_specs=tuple(
            AuthSpec(
                auth["name"],
                auth["type"],
                {
                    "$schema": _DRAFT,
                    "type": "object",
                    "properties": auth["properties"],
                    "required": auth["required"],
                    **({"additionalProperties": True} if auth.get("additionalProperties") else {}),
                },
            )
            for auth in entry["auth"]
        ),
        auth_optional=entry.get("authOptional", False),
        shape=_with_params(shape, entry["params"]) if "params" in entry else shape,
        public_id=entry.get("publicId", True),
        filters_rows=entry.get("filtersRows", False),
        folders=entry.get("folders", False),
        verified=entry.get("verified"),
        provider_id=entry.get("providerId", _PROVIDER_ID),
    )


def _with_params(shape: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
    """`shape` whose source takes `params` besides what all of its kind take."""
    source = shape["sourceSpec"]
    schema = {
        **source["spec"],
        "properties": {**source["spec"]["properties"], **params["properties"]},
        "required": [*source["spec"].get("required", ()), *params.get("required", ())],
        **({"additionalProperties": True} if params.get("additionalProperties") else {}),
    }
    return {**shape, "sourceSpec": {**source, "spec": schema}}


def _flow_shape(entry: Mapping[str, Any], about: Mapping[str, Any]) -> dict[str, Any]:
    transformations = [about["transformations"][name] for name in entry["transformations"]]
    return {
        "optionSpec": about["optionSpec"],
        "scheduleSpec": about["scheduleSpec"],
        # Clients of different ages look for different spellings of the same list.
        "transformationSpec": transformations,
        "transformationSpecs": transformations,
        "runSpec": {
            "name": "ProviderParams",
            "type": "ProviderParams",
            "spec": {
                "$schema": _DRAFT,
                "type": "object",
                "properties": {name: about["run"][name] for name in entry["run"]},
                "required": ["windowStartTime", "windowEndTime"],
            },
        },
    }


def _load(name: str) -> dict[str, Any]:
    text = (resources.files(__package__) / "catalog" / name).read_text(encoding="utf-8")
    document: dict[str, Any] = json.loads(text)
    return document
