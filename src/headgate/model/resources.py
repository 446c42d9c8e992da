"""What users make: connections, source and target connections, flows and datasets.

Every resource carries its scope and audit fields; `body` holds the members the wire shows besides them, in
the wire's own shape. A flow also keeps `frozen`: a copy of all it uses, so that changing or deleting a
connection later does not change what the flow does.
"""

import secrets
import time
import uuid
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any

from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Scope
from headgate.model.windows import DeltaColumn, Window

__all__ = ["Kind", "Resource", "SpecRef", "WriteMode", "new_etag", "new_run", "now_ms"]


class Kind(StrEnum):
    """The kinds of stored resources, spelled as in the address of their collection."""

    CONNECTION = "connections"
    SOURCE_CONNECTION = "sourceConnections"
    TARGET_CONNECTION = "targetConnections"
    FLOW = "flows"
    DATASET = "dataSets"
    MAPPING_SET = "mappingSets"
    SCHEMA = "schemas"
    FIELD_GROUP = "fieldgroups"
    CLASS = "classes"
    DATA_TYPE = "datatypes"
    DESCRIPTOR = "descriptors"
    WEBHOOK = "webhooks"


class WriteMode(StrEnum):
    """What a run does to rows that are in its table already: those its flow had ingested for the same window, none,
    or those with the same key.
    """

    REPLACE_WINDOW = "replaceWindow"
    APPEND = "append"
    UPSERT = "upsert"


@dataclass(frozen=True, slots=True)
class SpecRef:
    """A reference to a connection spec or flow spec."""

    id: str
    version: str = "1.0"


@dataclass(frozen=True, kw_only=True, slots=True)
class Resource:
    """One stored resource. Times are milliseconds since the epoch."""

    kind: Kind
    id: str
    scope: Scope
    name: str
    state: str
    body: Json
    created_at: int
    updated_at: int
    created_by: str
    updated_by: str
    created_client: str
    updated_client: str
    etag: str
    frozen: Json = field(default_factory=dict)

    def evolve(self, **changes: Any) -> "Resource":
        """This resource with `changes`."""
        return replace(self, **changes)

    @property
    def spec(self) -> SpecRef:
        """The connection spec (connections) or flow spec (flows) it was made from."""
        ref = self.body["flowSpec" if self.kind is Kind.FLOW else "connectionSpec"]
        return SpecRef(ref["id"], ref.get("version", "1.0"))

    @property
    def delta_column(self) -> DeltaColumn | None:
        """The delta column in a flow's `Copy` transformation; None when there is none."""
        copies = [entry for entry in self.body.get("transformations") or () if entry["name"].lower() == "copy"]
        about: Json = (copies[0].get("params") or {}).get("deltaColumn") or {} if copies else {}
        return DeltaColumn(about["name"], about.get("dateFormat"), about.get("timezone")) if about else None

    @property
    def params(self) -> Json:
        """`params` of a source or target connection; empty when absent."""
        params: Json = self.body.get("params") or {}
        return params


def now_ms() -> int:
    """The present, in milliseconds since the epoch."""
    return time.time_ns() // 1_000_000


def new_etag(updated_at: int) -> str:
    """A fresh version string: a quoted text whose third part is the second of the update, in hex."""
    return f'"{secrets.token_hex(4)}-0000-0200-0000-{updated_at // 1000:08x}0000"'


def new_run(
    flow: Resource,
    params: Json,
    window: Window,
    delta_column: DeltaColumn | None,
    *,
    start_ms: int,
    present: int,
    by: tuple[str, str],
    due_ms: int | None = None,
) -> Run:
    """A run of `flow` that a user, through a client, makes at `present`, to begin at `start_ms`."""
    user, client = by
    return Run(
        id=str(uuid.uuid4()),
        scope=flow.scope,
        flow_id=flow.id,
        flow_spec=flow.body["flowSpec"],
        state=RunState.SCHEDULED,
        params=params,
        window=window,
        start_ms=start_ms,
        delta_column=delta_column,
        due_ms=due_ms,
        created_at=present,
        updated_at=present,
        created_by=user,
        updated_by=user,
        created_client=client,
        updated_client=client,
        etag=new_etag(present),
        frozen=flow.frozen,
        metrics={"statusSummary": {"status": RunState.SCHEDULED.value}},
    )
