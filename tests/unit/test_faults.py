"""Fault points: nothing unless the process was started with faults, and then what was asked for."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from headgate import faults
from headgate.errors import BadSetting

ROOT = Path(__file__).parents[2]
MEANT = {"HEADGATE_FAULTS_MEANT": "yes"}


@pytest.fixture(autouse=True)
def disarmed() -> Iterator[None]:
    yield
    faults.arm({})


def _armed(text: str) -> None:
    faults.arm({"HEADGATE_FAULTS": text} | MEANT)


def _fired(name: str, times: int) -> list[bool]:
    """At which of so many times the point raised."""
    found = []
    for _ in range(times):
        try:
            faults.point(name)
        except faults.InjectedFault:
            found.append(True)
        else:
            found.append(False)
    return found


def test_nothing_happens_unless_asked_for() -> None:
    faults.arm({})
    for name in faults.POINTS:
        faults.point(name)


def test_faults_that_are_not_meant_stop_the_start() -> None:
    for environment in ({}, {"HEADGATE_FAULTS_MEANT": "no"}):
        with pytest.raises(BadSetting, match="HEADGATE_FAULTS_MEANT=yes"):
            faults.arm({"HEADGATE_FAULTS": "commit.before:kill"} | environment)
    faults.point("commit.before")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("commit.before", "not of the form"),
        ("commit.before:raise@", "not of the form"),
        ("commit.before:raise@2,", "not of the form"),
        ("commit.before:raise;", "not of the form"),
        ("commit.somewhere:raise", "no point 'commit.somewhere'"),
        ("commit.before:explode", "no action 'explode'"),
        ("commit.before:raise@0", "counts from 1"),
        ("commit.before:kill=3", "takes none"),
    ],
)
def test_what_cannot_be_read_stops_the_start(text: str, said: str) -> None:
    with pytest.raises(BadSetting, match=said):
        _armed(text)


def test_a_fault_happens_at_its_time_and_point_alone() -> None:
    _armed("read.mid:raise@3; stage.mid:raise")
    assert _fired("read.mid", 5) == [False, False, True, False, False]
    assert _fired("stage.mid", 2) == [True, False]
    assert _fired("commit.before", 2) == [False, False]


def test_the_dice_of_a_seed_fall_the_same_way_again() -> None:
    thrown = []
    for seed in (7, 7, 8):
        _armed(f"read.mid:raise@3,{seed}")
        thrown.append(_fired("read.mid", 60))
    assert thrown[0] == thrown[1] != thrown[2]
    assert 8 < sum(thrown[0]) < 35
    _armed("read.mid:raise@1,7")
    assert all(_fired("read.mid", 5))


def test_actions_do_as_they_are_called() -> None:
    _armed("commit.after_catalog:return-lost; read.mid:sleep=0.05")
    with pytest.raises(TimeoutError):
        faults.point("commit.after_catalog")
    began = time.monotonic()
    faults.point("read.mid")
    assert time.monotonic() - began >= 0.05


def test_kill_is_the_signal() -> None:
    code = (
        "from headgate import faults, telemetry\n"
        "telemetry.configure()\n"
        "faults.arm({'HEADGATE_FAULTS': 'stage.mid:kill', 'HEADGATE_FAULTS_MEANT': 'yes'})\n"
        "faults.point('read.mid')\nfaults.point('stage.mid')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=30, check=False)
    assert done.returncode == -signal.SIGKILL
    assert b'"point": "stage.mid"' in done.stderr


def test_every_point_stands_in_one_place_and_in_the_documents() -> None:
    sources = [path.read_text() for path in ROOT.glob("src/headgate/**/*.py")]
    placed = [name for text in sources for name in re.findall(r"faults\.point\(\"([^\"]+)\"\)", text)]
    assert sorted(placed) == sorted(faults.POINTS)
    page = (ROOT / "docs/explanation/faults.md").read_text()
    assert re.findall(r"^\| `([a-z._-]+)", page, re.MULTILINE) == [*faults._ACTIONS, *faults.POINTS]


def test_a_process_refuses_to_start_with_faults_it_was_not_meant_to_have(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "headgate.cli", "worker", "--data", str(tmp_path)],
        env={"HEADGATE_FAULTS": "commit.before:kill", "PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "Unset it" in done.stderr
    assert not list(tmp_path.iterdir())
