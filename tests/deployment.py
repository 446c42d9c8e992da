"""A deployment without its HTTP face: store, lake and flows, for tests of the engine."""

import uuid
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import sqlalchemy as sa

from headgate.config import Settings
from headgate.engine.attempt import Attempt
from headgate.model.lake import PROVENANCE
from headgate.model.orgs import Client, Org
from headgate.model.resources import Kind, Resource, new_etag, now_ms
from headgate.model.runs import Json, Run, RunState
from headgate.model.windows import DeltaColumn, Window
from headgate.store import open_store, tables
from headgate.targets import Lake, Retention

TOMORROW = now_ms() + 86_400_000
POSTGRESQL = "74a1c565-4e59-48d7-9d67-7c03b8a13137"


def at(text: str) -> int:
    """Milliseconds since the epoch of an ISO time in UTC."""
    return round(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp() * 1000)


def multiset(rows: Iterable[tuple[Any, ...]]) -> Counter[Any]:
    """Rows as a multiset: equal when each row comes equally often, in any order."""
    return Counter(repr(row) for row in rows)


class Deployment:
    """One sandbox with flows; runs are executed in the calling thread."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = Settings(**{"data": folder / "data", "file_roots": (folder,), **settings})
        self.store = open_store(self.settings)
        days = self.settings.snapshot_days
        self.lake = Lake(
            self.settings.warehouse, Retention(self.settings.snapshots, days * 86_400, self.store.queue.unfinished)
        )
        self.store.tenants.ensure_org(Org("ORG", "Test"), Client("client", "ORG", "test"), "-")
        scope = self.store.tenants.scope("ORG", None)
        assert scope is not None
        self.scope = scope
        self.scoped = self.store.scoped(scope)
        self._flows: dict[str, Resource] = {}

    def close(self) -> None:
        self.lake.close()
        self.store.close()

    def flow(
        self,
        spec_id: str,
        auth: Json,
        params: Json,
        *,
        data: Json | None = None,
        kind: str = "table",
        table: str = "target",
        mode: str = "replaceWindow",
        body: Json | None = None,
        mapping: Json | None = None,
        key: list[str] | None = None,
        layout: Json | None = None,
    ) -> str:
        """A new flow from a source into a table of the lake, with `body` beside what it needs; its id."""
        connection = self._add(Kind.CONNECTION, {}, secret=auth)
        frozen = {
            "kind": kind,
            "source": {
                "sourceConnectionId": str(uuid.uuid4()),
                "connectionId": connection.id,
                "specId": spec_id,
                "params": params,
                "data": data or {},
            },
            "target": {
                "targetConnectionId": str(uuid.uuid4()),
                "dataSetId": "0" * 24,
                "table": ["org", "prod", table],
                "writeMode": mode,
                **({"primaryKey": key} if key else {}),
                "layout": layout or {},
            },
            "mapping": mapping,
        }
        flow = self._add(Kind.FLOW, {"flowSpec": {"id": "any"}, **(body or {})}, frozen=frozen)
        self._flows[flow.id] = flow
        return flow.id

    def freeze(self, flow_id: str, **changes: Any) -> None:
        """Have later runs of the flow use these members in what it has frozen."""
        flow = self._flows[flow_id]
        self._flows[flow_id] = flow.evolve(frozen={**flow.frozen, **changes})

    def made(
        self, flow_id: str, start: str, end: str, delta: str | DeltaColumn | None = None, *, start_ms: int = 0
    ) -> Run:
        """A new run over [start, end), not stored yet."""
        return Run(
            id=str(uuid.uuid4()),
            scope=self.scope,
            flow_id=flow_id,
            flow_spec={},
            state=RunState.SCHEDULED,
            params={},
            window=Window(at(start), at(end)),
            start_ms=start_ms,
            delta_column=DeltaColumn(delta) if isinstance(delta, str) else delta,
            frozen=self._flows[flow_id].frozen,
            **_audit(),
        )

    def enqueue(
        self, flow_id: str, start: str, end: str, delta: str | DeltaColumn | None = None, *, start_ms: int = 0
    ) -> Run:
        """A new run over [start, end), not executed yet."""
        run = self.made(flow_id, start, end, delta, start_ms=start_ms)
        return self.scoped.add_run(run, flow_etag=self._flows[flow_id].etag)

    def bring_forward(self, run: Run) -> None:
        """Have a run that waits for its time be due now."""
        with self.store._engine.begin() as connection:
            connection.execute(sa.update(tables.runs).where(tables.runs.c.id == run.id).values(start_at=0))

    def abandon(self, run: Run) -> None:
        """Have the lease of a run end now, as if its worker had died long ago."""
        with self.store._engine.begin() as connection:
            connection.execute(sa.update(tables.runs).where(tables.runs.c.id == run.id).values(lease_until=0))

    def attempt(self, *, lease: float = 15.0) -> Attempt:
        """An attempt at the next run of the queue, owned for `lease` seconds at a time."""
        claim = self.store.queue.claim("test", lease=lease)
        assert claim is not None
        return Attempt(claim, self.store, self.lake, self.settings.model_copy(update={"lease": lease}))

    def run(self, flow_id: str, start: str, end: str, delta: str | DeltaColumn | None = None) -> Run:
        """A run over [start, end), executed to its end."""
        run = self.enqueue(flow_id, start, end, delta)
        self.attempt().execute()
        return self.scoped.run(run.id)

    def arrow(self, table: str = "target") -> pa.Table:
        """The whole table, provenance included."""
        found = self.lake.find(("org", "prod", table))
        assert found is not None
        return found._refresh().scan().to_arrow()

    def rows(self, table: str = "target") -> list[tuple[Any, ...]]:
        """The table's rows without their provenance columns."""
        arrow = self.arrow(table)
        kept = arrow.select([name for name in arrow.column_names if name not in PROVENANCE])
        return [tuple(row.values()) for row in kept.to_pylist()]

    def snapshots(self, table: str = "target") -> list[str]:
        """The run ids of the table's snapshots, oldest first."""
        found = self.lake.find(("org", "prod", table))
        assert found is not None
        summaries = [snapshot.summary for snapshot in found._refresh().snapshots()]
        return [summary.additional_properties["headgate.run-id"] for summary in summaries if summary]

    def files(self, table: str = "target") -> set[Path]:
        """Every data file below the table's folder, listed by a snapshot or not."""
        found = self.lake.find(("org", "prod", table))
        return set(found.location.glob("data/**/*.parquet")) if found else set()

    def _add(self, kind: Kind, body: Json, secret: Json | None = None, frozen: Json | None = None) -> Resource:
        resource = Resource(
            kind=kind,
            id=str(uuid.uuid4()),
            scope=self.scope,
            name=kind.value,
            state="enabled",
            body=body,
            frozen=frozen or {},
            **_audit(),
        )
        self.scoped.add(resource, secret=secret)
        return resource


def _audit() -> dict[str, Any]:
    present = now_ms()
    return {
        "created_at": present,
        "updated_at": present,
        "created_by": "test",
        "updated_by": "test",
        "created_client": "client",
        "updated_client": "client",
        "etag": new_etag(present),
    }
