"""One fault tried in a world, and what must hold when it is over."""

import itertools
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from pyiceberg.table import Table

from headgate.client import Client
from headgate.model.lake import PROVENANCE
from headgate.targets import Leftovers
from headgate.targets.catalog import local_path
from headgate.targets.retention import RUN_PROPERTY
from tests.acceptance.processes import flow
from tests.faults.matrix import INVARIANTS
from tests.faults.sources import Json, Row, Source, SqliteTable, minute, multiset, within
from tests.faults.world import IN_TIME, Process, World, loaded

RUNS = "/data/foundation/flowservice/runs"
FINAL = ("success", "failed", "cancelled")
_numbers = itertools.count(1)
_MORE_FILES, _MORE_MEMORY = (
    40,
    96 << 20,
)  # what pools keep; the service is shared by many cases


@dataclass(slots=True)
class Started:
    """A run that was asked for, and the rows it must bring if it succeeds."""

    id: str
    flow: str
    window: tuple[int, int]
    rows: list[Row]
    ended: Json = field(default_factory=dict)

    @property
    def status(self) -> str:
        """How it ended."""
        return str(self.ended["metrics"]["statusSummary"]["status"])

    @property
    def attempt(self) -> int:
        """The attempt that ended it; 0 when none began."""
        activities = self.ended["activities"]
        return int(activities[0]["statusSummary"]["extensions"]["attempt"]) if activities else 0

    @property
    def reasons(self) -> str:
        """Why it failed."""
        errors = self.ended["metrics"]["statusSummary"].get("errors", [])
        return "; ".join(f"{error['code']} {error['message']}" for error in errors)


class Case:
    """Flows into one new dataset of a world, the runs of them, and the processes that are made to fail."""

    def __init__(self, world: World, source: Source) -> None:
        self.world = world
        self.source = source
        self.name = f"case{next(_numbers)}"
        self.runs: list[Started] = []
        self.foreign: list[Row] = []  # rows that other writers added to the table
        self.modes: dict[str, str] = {}
        self.seen = ""
        self.without: dict[str, str] = {}  # invariants that cannot be asked for, and why
        self.settings: dict[str, str] = {}  # of all its workers
        self._dataset = ""
        self._processes: list[Process] = []
        self._bystander: Started | None = None
        self._healed = time.monotonic()

    # -- what a test does ------------------------------------------------------------------------

    def flow(self, mode: str = "replaceWindow", source: Source | None = None) -> str:
        """A new flow of the case's source, or another, into its table; its id."""
        source = source or self.source
        self._dataset = self._dataset or self.world.client.datasets.create(self.name)
        made = flow(self.world.client, source.spec, source.auth, mode=mode, dataset_id=self._dataset, **source.body)
        self.modes[made] = mode
        return made

    def run(self, flow_id: str, window: tuple[int, int], source: Source | None = None) -> Started:
        """A new run over the minutes [start, end)."""
        source = source or self.source
        started = start(self.world.client, flow_id, window, source)
        self.runs.append(started)
        return started

    def body(self, flow_id: str, window: tuple[int, int]) -> Json:
        """The body of a run's POST."""
        return run_body(flow_id, window, self.source.delta)

    def asked(self, id_: str, flow_id: str, window: tuple[int, int]) -> Started:
        """Remember a run that was asked for by other ways."""
        started = Started(id_, flow_id, window, within(self.source, window))
        self.runs.append(started)
        return started

    def worker(self, faults: str = "", *, ready: bool = True, **more: Any) -> Process:
        """A new worker; killed at the end."""
        settings = {**self.settings, **more.pop("environment", {})}
        process = self.world.start("worker", faults=faults, environment=settings, **more)
        self._processes.append(process)
        return process.ready() if ready else process

    def other_run(self) -> None:
        """Have a neighbour ask for a run, whom the fault must not touch."""
        if self._bystander is None:
            self._bystander = start(self.world.neighbour, *neighbours(self.world))

    def ends(self, started: Started, seconds: float = IN_TIME) -> Json:
        """Wait for the run's end; the run."""
        ended = self.settled(started, seconds)
        assert ended, f"the run {started.id} had not ended after {seconds:g} s: {self.logs()}"
        return ended

    def settled(self, started: Started, seconds: float) -> Json:
        """The run once it has ended, empty when it has not within so many seconds."""
        end = time.monotonic() + seconds
        while not started.ended:
            run: Any = self.world.client.runs.get(started.id).data
            if run["metrics"]["statusSummary"]["status"] in FINAL:
                started.ended = run
            elif time.monotonic() > end:
                break
            else:
                time.sleep(0.05)
        return started.ended

    def state(self, started: Started) -> str:
        """The run's state now."""
        return self.world.client.runs.get(started.id).state

    def heal(self) -> Process:
        """The fault is over: from now on all must end in time. A healthy worker."""
        self._healed = time.monotonic()
        return self.worker()

    def close(self) -> None:
        """End the case's workers."""
        for process in self._processes:
            process.kill()

    # -- what must hold --------------------------------------------------------------------------

    def check(self) -> list[str]:
        """The invariants that do not hold, each with what was found instead."""
        if not any(process.alive and not process.stopped for process in self._processes):
            self.heal()
        self.other_run()
        late = self._late()
        with self._table() as table:
            orphaned = self._orphans(table)
            found = {
                "I1": self._rows(table),  # and that no file was swept that has rows
                "I2": self._snapshots(table),
                "I3": late,
                "I4": orphaned,
                "I5": self._figures(table),
                "I6": self._neighbours(),
                "I7": ", ".join(self.world.leaks()),
                "I8": self._held(),
            }
        assert set(found) == set(INVARIANTS)
        return [f"{name}: {what}" for name, what in found.items() if what and name not in self.without]

    def _late(self) -> str:
        end = self._healed + IN_TIME
        late = [run.id for run in self.runs if not self.settled(run, max(end - time.monotonic(), 0.1))]
        assert not late, f"I3: {late} had not ended in time: {self.logs()}"
        return ""

    def _table(self) -> "found_table":
        return found_table(self.world, self.name)

    def _expected(self, order: list[str]) -> tuple[Counter[str], dict[str, int]]:
        """The table's rows once these runs landed in this order, and how many each replaced."""
        known = {run.id: run for run in self.runs}
        kept: dict[str, list[tuple[int, Row]]] = {flow_id: [] for flow_id in self.modes}
        replaced = {}
        for id_ in order:
            run = known[id_]
            held = kept[run.flow]
            if self.modes[run.flow] == "replaceWindow":
                kept[run.flow] = [(at, row) for at, row in held if not run.window[0] <= at < run.window[1]]
            replaced[id_] = len(held) - len(kept[run.flow])
            times = {repr(row): at for at, row in self.source.rows}
            kept[run.flow] += [(times.get(repr(row), run.window[0]), row) for row in run.rows]
        rows = [row for held in kept.values() for _, row in held]
        return multiset([*rows, *self.foreign]), replaced

    def _order(self, table: Table | None) -> list[str]:
        ours = {run.id for run in self.runs}
        return [id_ for id_ in _run_ids(table) if id_ in ours]

    def _rows(self, table: Table | None) -> str:
        if "I2" in self.without:
            order = [run.id for run in self.runs if run.status == "success"]
        else:
            order = list(dict.fromkeys(self._order(table)))
        expected, _ = self._expected(order)
        found = multiset(rows_of(table))
        if found == expected:
            return ""
        lacking, extra = expected - found, found - expected
        return f"{lacking.total()} rows lack, {extra.total()} are too many: {list(lacking)[:2]} {list(extra)[:2]}"

    def _snapshots(self, table: Table | None) -> str:
        times = Counter(self._order(table))
        wrong = {
            run.id: (run.status, times[run.id])
            for run in self.runs
            if times[run.id] != (1 if run.status == "success" and table is not None else 0)
        }
        return f"{wrong}" if wrong else ""

    def _orphans(self, table: Table | None) -> str:
        if table is None:
            return ""
        end = time.monotonic() + 3  # a run has ended a moment before its files are swept
        while (left := orphans(table.refresh())) and time.monotonic() < end:
            time.sleep(0.1)
        if left:
            self.seen += f"; {len(left)} data files are left to the upkeep"
        with closing(self.world.lake()) as lake:  # its grace is over
            Leftovers(lake, table.name()[-3:], lambda _runs: (), 0.0).sweep()
            left = orphans(table.refresh())
        return f"{len(left)} files: {sorted(left)[:3]}" if left else ""

    def _figures(self, table: Table | None) -> str:
        wrong = []
        _, replaced = self._expected(list(dict.fromkeys(self._order(table))))
        for run in self.runs:
            if (records := run.ended["metrics"].get("recordSummary")) is None:  # none but of what never began
                if run.status != "cancelled":
                    wrong.append(f"{run.id} is {run.status} and reports nothing")
                continue
            sizes = run.ended["metrics"].get("sizeSummary", {})
            landed = run.status == "success"
            rows = len(run.rows) if landed else 0
            if records["outputRecordCount"] != rows:
                wrong.append(f"{run.id} reports {records['outputRecordCount']} rows and brought {rows}")
            if run.id in replaced and records["deletedRecordCount"] != replaced[run.id]:
                wrong.append(f"{run.id} reports {records['deletedRecordCount']} replaced, not {replaced[run.id]}")
            if not landed and sizes.get("outputBytes", 0):
                wrong.append(f"{run.id} reports {sizes['outputBytes']} bytes and brought none")
        return "; ".join(wrong)

    def _neighbours(self) -> str:
        assert self._bystander is not None
        client, bystander = self.world.neighbour, self._bystander
        run = client.runs.get(bystander.id).data
        end = time.monotonic() + IN_TIME
        while run["metrics"]["statusSummary"]["status"] not in FINAL and time.monotonic() < end:
            time.sleep(0.05)
            run = client.runs.get(bystander.id).data
        status = run["metrics"]["statusSummary"]["status"]
        with found_table(self.world, "neighbour") as table:
            found = multiset(rows_of(table))
        if status != "success" or found != multiset(bystander.rows):
            return f"the neighbour's run is {status}, its table has {found.total()} rows"
        return ""

    def _held(self) -> str:
        wrong = []
        assert self.world.api is not None
        for process in (self.world.api, *self._processes):
            if not process.alive or process.stopped:
                continue
            end = time.monotonic() + 5
            while (held := process.held())[0] > process.files + _MORE_FILES and time.monotonic() < end:
                time.sleep(0.1)
            files, memory = held
            if files > process.files + _MORE_FILES or memory > process.memory + loaded() + _MORE_MEMORY:
                wrong.append(
                    f"{process.log.name}: {files} files, {memory >> 20} MiB; at its start "
                    f"{process.files}, {process.memory >> 20} MiB"
                )
        return "; ".join(wrong)

    def logs(self) -> str:
        """The last lines of the case's workers."""
        return "\n".join(f"{process.log.name}: {process.log.read_text()[-2000:]}" for process in self._processes)


class found_table:  # noqa: N801 - used as the function it stands for
    """The Iceberg table of a dataset as another process sees it; None when there is none."""

    def __init__(self, world: World, name: str) -> None:
        self._lake, self._name = world.lake(), name

    def __enter__(self) -> Table | None:
        catalog = self._lake._tables._catalog
        for top in catalog.list_namespaces():
            for namespace in catalog.list_namespaces(top):
                for identifier in catalog.list_tables(namespace):
                    if identifier[-1] == self._name:
                        return catalog.load_table(identifier)
        return None

    def __exit__(self, *_error: object) -> None:
        self._lake.close()


def start(client: Client, flow_id: str, window: tuple[int, int], source: Source) -> Started:
    """A new run over the minutes [start, end)."""
    run = client.request("POST", RUNS, body=run_body(flow_id, window, source.delta))
    return Started(run["id"], flow_id, window, within(source, window))


def run_body(flow_id: str, window: tuple[int, int], delta: str | None) -> Json:
    """What is sent to make a run."""
    bounds = [int((minute(end) - minute(0)).total_seconds()) + 1_704_067_200 for end in window]
    params: Json = {"windowStartTime": bounds[0], "windowEndTime": bounds[1]}
    if delta is not None:
        params["deltaColumn"] = {"name": delta}
    return {"flowId": flow_id, "params": params}


def rows_of(table: Table | None) -> list[Row]:
    """The table's rows without what says where they came from."""
    if table is None:
        return []
    arrow = table.scan().to_arrow()
    kept = arrow.select([name for name in arrow.column_names if name not in PROVENANCE])
    return [tuple(row.values()) for row in kept.to_pylist()]


def _run_ids(table: Table | None) -> list[str]:
    """The run ids of the table's snapshots, oldest first."""
    summaries = [snapshot.summary for snapshot in table.snapshots()] if table is not None else []
    found = [summary.additional_properties.get(RUN_PROPERTY) for summary in summaries if summary is not None]
    return [id_ for id_ in found if id_ is not None]


def orphans(table: Table) -> set[str]:
    """The data files below the table's folder that no snapshot lists."""
    folder = local_path(table.location())
    listed = {
        local_path(entry.data_file.file_path)
        for snapshot in table.snapshots()
        for manifest in snapshot.manifests(table.io)
        for entry in manifest.fetch_manifest_entry(table.io, discard_deleted=False)
    }
    return {str(path.relative_to(folder)) for path in folder.glob("data/**/*.parquet") if path not in listed}


_known: dict[Path, tuple[str, SqliteTable]] = {}


def neighbours(world: World) -> tuple[str, tuple[int, int], SqliteTable]:
    """The neighbour's flow, made once a world, its window and its source."""
    if world.folder not in _known:
        folder = world.folder / "neighbour"
        folder.mkdir()
        source = SqliteTable(folder, 50)
        made = flow(world.neighbour, source.spec, source.auth, dataset="neighbour")
        _known[world.folder] = made, source
    made, source = _known[world.folder]
    return made, (0, 50), source


def refused(answer: httpx.Response, status: int) -> None:
    """See that an answer is an error of this status, which may be sent again."""
    assert answer.status_code == status, answer.text


def each(count: int) -> Iterator[tuple[int, int]]:
    """Windows side by side, an hour each."""
    return ((60 * n, 60 * n + 60) for n in range(count))
