"""A sandbox as a document: its datasets, connections, sources, targets and flows by their names.

    connections: {shop: {spec: postgresql, auth: …, params: {server: …, password: "${SHOP_PASSWORD}"}}}
    datasets:    {Orders: {}}
    sources:     {orders: {connection: shop, params: {tableName: public.orders}}}
    targets:     {orders: {dataset: Orders, params: {writeMode: replaceWindow}}}
    flows:       {orders: {source: orders, target: orders, schedule: {frequency: once}, deltaColumn: updated_at}}

A secret that the service holds is written `${NAME}`: who applies the document has it in that environment variable.
Things of one kind that share a name are told apart by the beginning of their ids.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from headgate.cli.bodies import Specs, secret_names
from headgate.cli.kinds import CONNECTIONS, DATASETS, FLOWS, SOURCES, TARGETS
from headgate.cli.resources import Resources
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["DEFAULT_SCHEMA_TYPE", "KINDS", "MASK", "Sandbox", "Written"]

MASK = "xxxx"  # what the API shows in place of a secret
DEFAULT_SCHEMA_TYPE = "application/vnd.adobe.xed-full+json;version=1"
KINDS: Mapping[str, Resources] = {
    "datasets": DATASETS,
    "connections": CONNECTIONS,
    "sources": SOURCES,
    "targets": TARGETS,
    "flows": FLOWS,
}
"""The sections of a document, in the order in which things can be made."""

_OF_FLOWS = ("description", "labels", "options", "policy")


@dataclass(frozen=True, slots=True)
class Written:
    """One thing of a sandbox: as it is in a document, and as the service holds it."""

    entry: Json
    held: Json


@dataclass(slots=True)
class Sandbox:
    """What a sandbox holds, by kind and by the name that a document gives it."""

    specs: Specs
    things: dict[str, dict[str, Written]] = field(default_factory=dict)
    doubled: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, client: "Client") -> "Sandbox":
        """Read a whole sandbox. Drafts are left out."""
        sandbox = cls(Specs(client))
        names: dict[str, dict[str, str]] = {}
        for kind, resources in KINDS.items():
            items = [item for item in resources.all(client) if item.get("state") != "draft"]
            titled = list(zip(sandbox._keys(kind, items), items, strict=True))
            names[kind] = {item["id"]: key for key, item in titled}
            sandbox.things[kind] = {key: Written(sandbox._entry(kind, key, item, names), item) for key, item in titled}
        return sandbox

    @property
    def document(self) -> Json:
        """All of it, as it is written down: sorted, so that two of the same content are the same text."""
        return {
            kind: {name: things[name].entry for name in sorted(things)}
            for kind, things in self.things.items()
            if things
        }

    def id_of(self, kind: str, name: str) -> str | None:
        """The id of a thing, if there is such a one."""
        found = self.things[kind].get(name)
        return str(found.held["id"]) if found else None

    def _keys(self, kind: str, items: list[Json]) -> list[str]:
        called = [item.get("name") or item["id"] for item in items]
        often = Counter(called)
        self.doubled += [f"{kind} {name}" for name, count in often.items() if count > 1]
        return [
            name if often[name] == 1 else f"{name} ({item['id'][:8]})" for name, item in zip(called, items, strict=True)
        ]

    def _entry(self, kind: str, key: str, item: Json, names: Mapping[str, Mapping[str, str]]) -> Json:
        about = {"description": item["description"]} if item.get("description") else {}
        match kind:
            case "datasets":
                schema = (item.get("schemaRef") or {}).get("id")
                return {**about, **({"schema": schema} if schema else {})}
            case "connections":
                return {**about, **self._connection(key, item)}
            case "sources":
                base = item.get("baseConnectionId")
                spec = self.specs.named(item["connectionSpec"]["id"])["name"]
                place = {"connection": names["connections"].get(base, base)} if base else {"spec": spec}
                return {**about, **place, "data": item.get("data", {}), "params": item.get("params", {})}
            case "targets":
                params = dict(item["params"])
                dataset = params.pop("dataSetId", None)
                return {**about, "dataset": names["datasets"].get(dataset, dataset), "params": params}
            case _:
                return _flow(item, names)

    def _connection(self, key: str, item: Json) -> Json:
        spec = self.specs.named(item["connectionSpec"]["id"])
        auth = item.get("auth")
        if not auth:
            return {"spec": spec["name"]}
        params = dict(auth.get("params", {}))
        for name in secret_names(self.specs.auth(spec, auth["specName"], ())):
            if params.get(name) == MASK:
                params[name] = "${" + _variable(key, name) + "}"
        return {"spec": spec["name"], "auth": auth["specName"], "params": params}


def _flow(item: Json, names: Mapping[str, Mapping[str, str]]) -> Json:
    entry: Json = {member: item[member] for member in _OF_FLOWS if item.get(member)}
    [source], [target] = item["sourceConnectionIds"], item["targetConnectionIds"]
    entry |= {"source": names["sources"].get(source, source), "target": names["targets"].get(target, target)}
    schedule = dict(item["scheduleParams"])
    if schedule["frequency"] == "once":
        del schedule["startTime"]  # says nothing of a flow that runs on demand
    entry["schedule"] = schedule
    others = []
    for transformation in item.get("transformations", []):
        column = transformation.get("params", {}).get("deltaColumn")
        if transformation["name"] == "Copy" and column and schedule["frequency"] == "once":
            continue  # which its first run named, and no document may
        if transformation["name"] == "Copy" and column:
            entry["deltaColumn"] = column["name"] if list(column) == ["name"] else column
        else:
            others.append(transformation)
    if others:
        entry["transformations"] = others
    if item["state"] == "disabled":
        entry["enabled"] = False
    return entry


def _variable(*words: Any) -> str:
    text = "_".join(re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", str(word)) for word in words)
    name = re.sub(r"[^A-Za-z0-9]+", "_", text).strip("_").upper()
    return name if not name[:1].isdigit() else f"_{name}"
