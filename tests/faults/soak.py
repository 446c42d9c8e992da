"""The soak: random steps of users, workers that die and sources that change, by a seed; then the checker.

    python -m tests.faults.soak --minutes 10 [--seed N] [--metadata sqlite|postgresql]

Hypothesis chooses the steps (create, run, cancel, re-trigger, kill, restart, alter), and a failure prints its seed
and the steps that lead to it. The processes keep their own time, so the same steps need not meet the same way again.
"""

import argparse
import itertools
import random
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from headgate import faults
from headgate.client import RequestFailed
from tests.conftest import empty_database, on_postgresql, running_server
from tests.faults.case import RUNS, Case, Started
from tests.faults.sources import SqliteTable, minute, within
from tests.faults.world import Process, World

POINTS = tuple(point for point in faults.POINTS if point.partition(".")[0] not in ("api", "heartbeat", "webhook"))
ACTIONS = ("kill", "sleep=1.5", "return-lost")
windows = st.tuples(st.integers(0, 280), st.integers(0, 120)).map(lambda found: (found[0], found[0] + found[1]))


class Soak(RuleBasedStateMachine):
    """One table, up to three flows into it, up to three workers; every example begins with a new one."""

    world: World
    steps = 0
    examples = 0

    def __init__(self) -> None:
        super().__init__()
        folder = Path(tempfile.mkdtemp(dir=self.world.folder))
        self.case = Case(self.world, SqliteTable(folder, 300))
        self.case.settings = {"HEADGATE_MAX_ATTEMPTS": "30"}
        self.flows: list[str] = []
        self.workers: list[Process] = []
        self.added = 0

    # -- what users do ---------------------------------------------------------------------------

    @initialize()
    def begin(self) -> None:
        self.create("replaceWindow")

    @rule(mode=st.sampled_from(["replaceWindow", "append"]))
    def create(self, mode: str) -> None:
        if len(self.flows) == 3:
            return
        self._step()
        self.flows.append(self.case.flow(mode))

    @rule(window=windows, which=st.integers(0, 2))
    def run(self, window: tuple[int, int], which: int) -> None:
        if len(self.case.runs) > 40:
            return
        self._step()
        self.case.run(self.flows[which % len(self.flows)], window)

    @rule(which=st.integers(0, 40))
    def cancel(self, which: int) -> None:
        if not self.case.runs:
            return
        self._step()
        with _refusable():
            self.world.client.runs.get(self.case.runs[which % len(self.case.runs)].id).cancel()

    @rule(which=st.integers(0, 40))
    def retrigger(self, which: int) -> None:
        if not self.case.runs:
            return
        self._step()
        old = self.case.runs[which % len(self.case.runs)]
        with _refusable():
            made = self.world.client.request("POST", f"{RUNS}/{old.id}/action", op="re-trigger")
            self.case.runs.append(Started(made["id"], old.flow, old.window, within(self.case.source, old.window)))

    # -- what happens to them --------------------------------------------------------------------

    @rule(point=st.sampled_from(POINTS), action=st.sampled_from(ACTIONS), nth=st.integers(1, 3), healthy=st.booleans())
    def start(self, point: str, action: str, nth: int, healthy: bool) -> None:
        if len(self._alive()) == 3:
            return
        self._step()
        fault = "" if healthy else f"{point}:{action}@{nth}"
        if action == "return-lost" and point != "commit.after_catalog":
            fault = ""  # elsewhere it is an error, which may end a run for good
        self.workers.append(self.case.worker(fault))

    @rule(which=st.integers(0, 2))
    def kill(self, which: int) -> None:
        if alive := self._alive():
            self._step()
            alive[which % len(alive)].kill()

    @rule(which=st.integers(0, 2))
    def freeze(self, which: int) -> None:
        if alive := self._alive():
            self._step()
            sleeper = alive[which % len(alive)]
            with suppress(ProcessLookupError, FileNotFoundError, ValueError):  # its own fault was first
                sleeper.freeze(self.world.locked)
                time.sleep(1.3)
                sleeper.thaw()

    @rule()
    def stop(self) -> None:
        if alive := self._alive():
            self._step()
            alive[0].signal(signal.SIGTERM)

    @rule(kill=st.booleans())
    def restart(self, kill: bool) -> None:
        self._step()
        assert self.world.api is not None
        if kill:
            self.world.api.kill()
        self.world.start_api()

    @rule(count=st.integers(1, 5))
    def alter(self, count: int) -> None:
        """The source gets rows after all windows: a run that reads while they come is not touched by them."""
        self._step()
        source = self.case.source
        assert isinstance(source, SqliteTable)
        connection = source.connect()
        for _ in range(count):
            self.added += 1
            row = (1000 + self.added, (minute(1000 + self.added)).isoformat(" "), 1.0, "new")
            connection.execute("INSERT INTO events VALUES (?, ?, ?, ?)", row)
        connection.commit()
        connection.close()

    @rule(seconds=st.sampled_from([0.2, 0.5, 1.0]))
    def wait(self, seconds: float) -> None:
        self._step()
        time.sleep(seconds)

    # -- the end ---------------------------------------------------------------------------------

    def teardown(self) -> None:
        try:
            if self.case.runs and sys.exc_info()[0] is None:
                self._alive_or_new()
                broken = self.case.check()
                assert not broken, "\n".join([*broken, self.case.logs()])
                type(self).examples += 1
        finally:
            self.case.close()

    def _alive(self) -> list[Process]:
        return [worker for worker in self.workers if worker.alive]

    def _alive_or_new(self) -> None:
        self.case.worker()
        self.case.heal()

    def _step(self) -> None:
        type(self).steps += 1


@contextmanager
def _refusable() -> Iterator[None]:
    """What a run's state may forbid."""
    try:
        yield
    except RequestFailed as refused:
        if refused.status != 400:
            raise


def soak(world: World, minutes: float, first: int) -> tuple[int, int]:
    """Take random steps for so long, by one seed after another; how many, and how many examples held."""

    class Here(Soak):
        pass

    Here.world = world
    over = time.monotonic() + 60 * minutes
    chosen = settings(
        max_examples=5,
        stateful_step_count=20,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
        print_blob=False,
    )
    for seed in itertools.count(first):
        if time.monotonic() > over:
            break
        machine: Any = hypothesis.seed(seed)(Here)
        try:
            run_state_machine_as_test(machine, settings=chosen)
        except BaseException:
            print(f"soak: broken; repeat it with --seed {seed}", flush=True)
            raise
    return Here.steps, Here.examples


def main() -> None:
    """Soak on one kind of metadata after the other."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--metadata", choices=["sqlite", "postgresql"], action="append")
    asked = parser.parse_args()
    kinds = asked.metadata or ["sqlite", "postgresql"]
    for kind in kinds:
        print(f"soak: seed {asked.seed}, metadata on {kind}, {asked.minutes / len(kinds):g} minutes", flush=True)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-soak-")))
            metadata = ""
            if kind == "postgresql":
                server = stack.enter_context(running_server())
                metadata = on_postgresql(stack.enter_context(empty_database(server.get_uri())))
            world = World(folder, metadata)
            stack.callback(world.close)
            steps, examples = soak(world, asked.minutes / len(kinds), asked.seed)
        print(f"soak: {steps} steps, {examples} times all invariants held", flush=True)


if __name__ == "__main__":
    main()
