"""The machine: its clock jumps, its memory and its open files run out, and a neighbour asks for too much."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.case import Case, neighbours, start
from tests.faults.matrix import absent, fault
from tests.faults.sources import SqliteTable
from tests.faults.world import World

DAY = (0, 240)
_FAKETIME = next(iter(Path("/usr/lib").glob("*/faketime/libfaketime.so.1")), None)
_CGROUP = Path("/sys/fs/cgroup/memory")


@fault("F28", "a second worker's clock is {skew} off")
@pytest.mark.parametrize("skew", ["+1h", "-1h", "+5m"])
def test_clock_off(case: Case, skew: str) -> None:
    if _FAKETIME is None:
        absent("libfaketime is not installed: apt-get install libfaketime")
    off = {"LD_PRELOAD": str(_FAKETIME), "FAKETIME": skew, "DONT_FAKE_MONOTONIC": "1"}
    owner = case.worker("read.mid:sleep=3")
    run = case.run(case.flow(), DAY)
    owner.reached("read.mid")
    case.worker(environment=off)
    case.ends(run)
    assert run.status == "success", run.reasons
    early = "is not taken over" if run.attempt == 1 else f"is taken over early, success by attempt {run.attempt}"
    if case.world.metadata:
        assert run.attempt == 1  # leases are judged by the server's clock
    case.seen = f"the run of the other {early}"


@fault("F30", "worker with 24 open files at most")
def test_few_open_files(case: Case) -> None:
    poor = case.worker(under=["prlimit", "--nofile=24:24"], ready=False)
    run = case.run(case.flow(), DAY)
    case.settled(run, 6)
    seen = f"{run.status} {run.reasons[:80]}" if run.ended else case.state(run)
    poor.kill()
    case.heal()
    case.ends(run)
    case.seen = f"with it {seen.strip()}; with another {run.status} by attempt {run.attempt}"


@pytest.fixture
def wide(world: World, tmp_path: Path) -> Iterator[Case]:
    """A case whose source has 300 MiB in rows of 100 KiB."""
    folder = world.folder / tmp_path.name
    folder.mkdir(exist_ok=True)
    case = Case(world, SqliteTable(folder, 300))
    source = case.source
    assert isinstance(source, SqliteTable)
    connection = source.connect()
    connection.execute("UPDATE events SET name = hex(randomblob(500000)) || id")
    connection.commit()
    source.rows = [(at, (*row[:3], name)) for (at, row), (name,) in zip(source.rows, _names(source), strict=True)]
    connection.close()
    try:
        yield case
    finally:
        case.close()


def _names(source: SqliteTable) -> list[tuple[str]]:
    connection = source.connect()
    try:
        return connection.execute("SELECT name FROM events ORDER BY id").fetchall()
    finally:
        connection.close()


@fault("F29", "worker with 420 MiB reads 300 MiB in rows of 1 MB")
def test_little_memory(wide: Case) -> None:
    group = _CGROUP / f"headgate-{os.getpid()}"
    try:
        group.mkdir()
        (group / "memory.limit_in_bytes").write_text(str(420 << 20))
    except OSError as error:
        absent(f"no control group for memory can be made here: {error}")
    try:
        enter = f'echo $$ > {group}/cgroup.procs && exec "$@"'
        run = wide.run(wide.flow(), (0, 300))
        died = 0
        for _ in range(4):
            worker = wide.worker(under=["sh", "-c", enter, "sh"], ready=False)
            while worker.alive and not wide.settled(run, 0.3):
                time.sleep(0.1)
            died += not worker.alive
            if run.ended:
                break
        wide.heal()
        wide.ends(run, 60)
        assert run.status == "failed"  # such rows do not fit into what a split's engine may have
        assert "Out of Memory" in run.reasons, run.reasons
        wide.seen = f"{run.status} by attempt {run.attempt}, {died} workers killed {run.reasons[:100]}".strip()
    finally:
        for process in wide.world.processes:
            if process.alive and process is not wide.world.api:
                process.kill()
        group.rmdir()


@fault("F40", "400 runs of one organisation wait; a neighbour asks for one")
def test_noisy_neighbour(case: Case) -> None:
    flows = [case.flow() for _ in range(4)]
    for number in range(400):
        case.run(flows[number % 4], (0, 3))
    case.worker()
    time.sleep(1)
    began = time.monotonic()
    run = start(case.world.neighbour, *neighbours(case.world))
    while case.world.neighbour.runs.get(run.id).state not in ("success", "failed"):
        assert time.monotonic() - began < 60
        time.sleep(0.02)
    took = time.monotonic() - began
    waiting = sum(case.state(run) in ("scheduled", "queued") for run in case.runs[-20:])
    for started in case.runs:
        if case.state(started) in ("scheduled", "queued"):
            case.world.client.runs.get(started.id).cancel()
    case.heal()
    assert waiting == 20  # it did not wait for them
    case.seen = f"the neighbour's run has succeeded {took:.1f} s after it was asked for"
