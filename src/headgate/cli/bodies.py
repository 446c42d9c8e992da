"""Bodies of connections, sources, targets and flows, from what a person names: specs and datasets by their names."""

import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headgate.cli.wording import did_you_mean
from headgate.errors import InvalidRequest, NotFound
from headgate.model.addresses import FLOW_SERVICE
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["Specs", "is_reference", "secret_names", "see_references"]

LAKE = "datalake"
_KINDS = ("CRMToAEP", "CloudStorageToAEP")  # flow specs that are tried first, of tables and of files


class Specs:
    """The catalogue of a service, asked for once, and bodies that refer to it."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._known: list[Json] = []
        self._flows: list[Json] = []

    @property
    def connections(self) -> Sequence[Json]:
        """Every connection spec."""
        if not self._known:
            self._known = self._client.request("GET", f"{FLOW_SERVICE}/connectionSpecs")["items"]
        return self._known

    @property
    def flows(self) -> Sequence[Json]:
        """Every flow spec."""
        if not self._flows:
            self._flows = self._client.request("GET", f"{FLOW_SERVICE}/flowSpecs")["items"]
        return self._flows

    def named(self, name_or_id: str) -> Json:
        """The connection spec of this name or id. Raises NotFound."""
        for spec in self.connections:
            if name_or_id in (spec["name"], spec["id"]):
                return spec
        hint = did_you_mean(name_or_id, (spec["name"] for spec in self.connections))
        raise NotFound(
            f"There is no connection spec {name_or_id!r}. {hint or '`headgate specs list` shows those there are.'}"
        )

    def ref(self, name_or_id: str) -> Json:
        """The reference to a connection spec."""
        spec = self.named(name_or_id)
        return {"id": spec["id"], "version": spec.get("version", "1.0")}

    def auth(self, spec: Json, name: str | None, given: Sequence[str] | Mapping[str, Any]) -> Json:
        """The authentication spec of this name; without one, the first that has all `given` parameters."""
        known = spec.get("authSpec", [])
        if name is not None:
            for auth in known:
                if auth["name"] == name:
                    return dict(auth)
            names = ", ".join(auth["name"] for auth in known)
            raise NotFound(f"{spec['name']} has no authentication spec {name!r}; it has {names}.")
        for auth in known:
            if set(given) <= set(auth["spec"].get("properties", {})):
                return dict(auth)
        raise InvalidRequest(
            f"No authentication spec of {spec['name']} has the parameters {', '.join(given)}. "
            f"`headgate specs show {spec['name']}` lists them."
        )

    def connection(self, name: str, spec_name: str, auth: str | None, params: Json, description: str = "") -> Json:
        """The body of a connection."""
        spec = self.named(spec_name)
        body: Json = {"name": name, "connectionSpec": self.ref(spec["id"])}
        if description:
            body["description"] = description
        if spec.get("authSpec") and (params or auth):
            chosen = self.auth(spec, auth, params)
            body["auth"] = {"specName": chosen["name"], "params": params}
        return body

    def target(self, name: str, dataset_id: str, params: Json) -> Json:
        """The body of a target connection: a dataset of the lake."""
        return {
            "name": name,
            "connectionSpec": self.ref(LAKE),
            "data": {"format": "parquet_xdm"},
            "params": {"dataSetId": dataset_id, **params},
        }

    def flow_spec(self, source_spec_id: str) -> Json:
        """The reference to the flow spec that reads sources of a connection spec. Raises NotFound."""
        fitting = [
            spec
            for spec in self.flows
            if source_spec_id in spec.get("sourceConnectionSpecIds", ())
            and self.named(LAKE)["id"] in spec.get("targetConnectionSpecIds", ())
        ]
        fitting.sort(key=lambda spec: spec["name"] not in _KINDS)
        if not fitting:
            raise NotFound(f"No flow spec reads sources of the connection spec {source_spec_id}.")
        return {"id": fitting[0]["id"], "version": fitting[0].get("version", "1.0")}

    def flow(self, name: str, source: Json, target_id: str, schedule: Json, transformations: Sequence[Json]) -> Json:
        """The body of a flow between a source connection and a target connection."""
        return {
            "name": name,
            "flowSpec": self.flow_spec(source["connectionSpec"]["id"]),
            "sourceConnectionIds": [source["id"]],
            "targetConnectionIds": [target_id],
            "scheduleParams": {"startTime": str(int(time.time())), "frequency": "once", **schedule},
            "transformations": list(transformations),
        }


def secret_names(auth_spec: Json) -> frozenset[str]:
    """The parameters of an authentication spec that are secrets."""
    return frozenset(
        name
        for name, about in auth_spec.get("spec", {}).get("properties", {}).items()
        if about.get("format") == "password"
    )


def is_reference(value: object) -> bool:
    """Whether a secret is named instead of written."""
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def see_references(auth_spec: Json, params: Mapping[str, Any], instead: str) -> None:
    """See that no secret is written out where others may read it. Raises InvalidRequest."""
    for name in sorted(secret_names(auth_spec) & set(params)):
        if not is_reference(params[name]):
            raise InvalidRequest(f"{name} is a secret and must not be written here. {instead}")
