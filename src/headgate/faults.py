"""Named places at which a process can be made to fail on purpose, for the tests of what survives it.

`point()` does nothing unless the process was started with faults: `arm()` reads them once, from the environment,
and nothing that comes in later can. docs/explanation/faults.md tells the grammar and where the points are. It stands
above the log, which records each fault, and below everything that has points.
"""

import os
import random
import re
import signal
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from headgate.errors import BadSetting
from headgate.telemetry import emit

__all__ = ["POINTS", "InjectedFault", "arm", "point"]

POINTS = (
    "api.before_insert",
    "api.after_insert",
    "api.before_reply",
    "claim.after",
    "plan.after",
    "read.mid",
    "stage.mid",
    "stage.after",
    "staged.recorded",
    "commit.before",
    "commit.after_catalog",
    "commit.after_record",
    "finish.before",
    "cleanup.mid",
    "heartbeat",
    "webhook.after_send",
)
_FAULTS, _MEANT = "HEADGATE_FAULTS", "HEADGATE_FAULTS_MEANT"
_FORM = re.compile(
    r"(?P<point>[a-z._]+):(?P<action>[a-z-]+)(=(?P<seconds>[0-9]+(\.[0-9]+)?))?(@(?P<nth>[0-9]+)(,(?P<seed>[0-9]+))?)?"
)


class InjectedFault(Exception):
    """What an action `raise` raises: an exception that nobody foresaw."""


@dataclass(slots=True)
class _Fault:
    """What happens at a point: at its `nth` time, or by the dice of `chance` at one time in `nth`."""

    action: str
    seconds: float
    nth: int
    chance: random.Random | None
    reached: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def due(self) -> bool:
        """Count one more time; whether the fault happens at it."""
        with self.lock:
            self.reached += 1
            if self.chance is None:
                return self.reached == self.nth
            return self.chance.randrange(self.nth) == 0


_armed: dict[str, list[_Fault]] = {}


def point(name: str) -> None:
    """Fail here, if this process was started to; else nothing."""
    if _armed:
        _reach(name)


def arm(environment: Mapping[str, str]) -> None:
    """Take up the faults that the process is started with, if any. Raises BadSetting, also when they are not meant."""
    _armed.clear()
    text = environment.get(_FAULTS, "").strip()
    if not text:
        return
    if environment.get(_MEANT) != "yes":
        raise BadSetting(
            f"{_FAULTS} would make this process fail on purpose. Unset it; a test that means it sets {_MEANT}=yes too."
        )
    for part in text.split(";"):
        name, fault = _fault(part.strip())
        _armed.setdefault(name, []).append(fault)
    emit("faults.armed", level="warning", faults=text)


def _fault(text: str) -> tuple[str, _Fault]:
    form = _FORM.fullmatch(text)
    if form is None:
        raise BadSetting(f"{_FAULTS}: {text!r} is not of the form point:action, point:action@nth or @nth,seed.")
    if form["point"] not in POINTS:
        raise BadSetting(f"{_FAULTS}: there is no point {form['point']!r}. Known: {', '.join(POINTS)}.")
    if form["action"] not in _ACTIONS:
        raise BadSetting(f"{_FAULTS}: there is no action {form['action']!r}. Known: {', '.join(_ACTIONS)}.")
    nth = int(form["nth"] or 1)
    if nth == 0:
        raise BadSetting(f"{_FAULTS}: {text!r} counts from 1.")
    if form["seconds"] and form["action"] != "sleep":
        raise BadSetting(f"{_FAULTS}: {text!r} gives seconds to an action that takes none.")
    chance = random.Random(int(form["seed"])) if form["seed"] else None  # noqa: S311 - to be repeatable
    return form["point"], _Fault(form["action"], float(form["seconds"] or 1), nth, chance)


def _reach(name: str) -> None:
    for fault in _armed.get(name, ()):
        if fault.due():
            emit("fault", level="warning", point=name, action=fault.action, pid=os.getpid())
            _ACTIONS[fault.action](fault)


def _kill(_fault: _Fault) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _raise(_fault: _Fault) -> None:
    raise InjectedFault("A fault was asked for here.")


def _lose_return(_fault: _Fault) -> None:
    raise TimeoutError("The answer to what was done just now is lost, as was asked for.")


def _sleep(fault: _Fault) -> None:
    time.sleep(fault.seconds)


_ACTIONS: dict[str, Callable[[_Fault], None]] = {
    "kill": _kill,
    "raise": _raise,
    "return-lost": _lose_return,
    "sleep": _sleep,
}
