"""A lake table that is written to directly, without a source or a run in the store."""

import uuid
from collections.abc import Collection, Sequence
from pathlib import Path

from pyiceberg.manifest import ManifestFile

from headgate import dataplane
from headgate.dataplane import literal, quote
from headgate.model.lake import FLOW_ID, RUN_ID, Column, LakeType
from headgate.model.windows import Bounds, DeltaType
from headgate.targets import Lake, LakeTable, Landed, Replacement, Retention, Staged

IDENTIFIER = ("org", "prod", "events")
AT = Column("at", LakeType("long"))
COLUMNS = (AT, *(Column(name, LakeType("string")) for name in ("name", FLOW_ID, RUN_ID)))
FLOW = str(uuid.UUID(int=1))


class Ingest:
    """Brings rows `(at, name)` into one table, each call as a run of its own."""

    def __init__(
        self,
        warehouse: Path,
        identifier: tuple[str, ...] = IDENTIFIER,
        *,
        snapshots: int = 50,
        seconds: float = 86_400.0,
        unfinished: Collection[str] = (),
    ) -> None:
        self.identifier = identifier
        self.unfinished = set(unfinished)
        self.lake = Lake(warehouse, Retention(snapshots, seconds, self.unfinished.intersection))

    @property
    def table(self) -> LakeTable:
        """The table as it is now, made when there is none."""
        return self.lake.table(self.identifier, COLUMNS)

    def bring(
        self,
        rows: Sequence[tuple[int | None, str]],
        *,
        replacing: tuple[int, int] | None = None,
        run_id: str | None = None,
        flow_id: str = FLOW,
    ) -> Landed:
        """Commit the rows in one file, in place of the flow's in the half-open window `replacing`."""
        run_id, table = run_id or str(uuid.uuid4()), self.table
        return self.commit(table, self.stage(table, rows, run_id, flow_id), run_id, replacing, flow_id)

    def stage(
        self, table: LakeTable, rows: Sequence[tuple[int | None, str]], run_id: str, flow_id: str = FLOW
    ) -> Staged:
        """Write the rows to one file."""
        path = table.staging(run_id) / f"1-{uuid.uuid4()}.parquet"
        path.parent.mkdir(parents=True, exist_ok=True)
        values = ", ".join(f"({'NULL' if at is None else at}, {literal(name)})" for at, name in rows)
        names = tuple(column.name for column in COLUMNS)
        with dataplane.opened() as connection:
            connection.execute(
                f"COPY (SELECT CAST(moment AS BIGINT) AS {quote(AT.name)}, name, "
                f"{literal(flow_id)} AS {quote(FLOW_ID)}, {literal(run_id)} AS {quote(RUN_ID)} "
                f"FROM (VALUES {values}) AS rows(moment, name)) "
                f"TO {literal(str(path))} {table.copy_options(names)}"
            )
        return table.stage(path)

    def commit(
        self,
        table: LakeTable,
        staged: Staged,
        run_id: str,
        replacing: tuple[int, int] | None = None,
        flow_id: str = FLOW,
    ) -> Landed:
        """Commit a staged file as `bring()` does."""
        replacement = None
        if replacing is not None:
            replacement = Replacement(flow_id, AT, Bounds(DeltaType.EPOCH_S, *replacing))
        return table.commit(run_id, [staged], replacement, summary={}, prefix="1-", confirm=_ours)

    def close(self) -> None:
        """Close the lake."""
        self.lake.close()


def held(table: LakeTable) -> list[tuple[int, str]]:
    """The table's rows, sorted, as PyIceberg reads them."""
    rows = table._refresh().scan(selected_fields=("at", "name")).to_arrow().to_pylist()
    return sorted((row["at"], row["name"]) for row in rows)


def _ours() -> None:
    """The run is ours."""


def manifests(table: LakeTable) -> list[ManifestFile]:
    """The manifests of its present snapshot."""
    snapshot = table.iceberg.current_snapshot()
    return snapshot.manifests(table.iceberg.io) if snapshot is not None else []


def summaries(table: LakeTable) -> list[dict[str, str]]:
    """What its snapshots say of themselves, oldest first."""
    return [each.summary.additional_properties for each in table.iceberg.snapshots() if each.summary is not None]
