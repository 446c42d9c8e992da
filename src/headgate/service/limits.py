"""How much one principal and one organisation may ask of a process, so that none keeps the others out."""

import threading
import time

from headgate.config import Settings
from headgate.errors import TooManyRequests
from headgate.model.scope import Caller

__all__ = ["Limits"]

_MINUTE = 60.0
_MOST = 10_000  # buckets kept before those that are full again are thrown away


class Limits:
    """Token buckets, refilled steadily, each as large as a minute's allowance. Counted in this process alone."""

    def __init__(self, settings: Settings) -> None:
        self._requests = _Buckets(settings.requests_per_minute)
        self._org_requests = _Buckets(settings.org_requests_per_minute)
        self._runs = _Buckets(settings.runs_per_minute)
        self._org_runs = _Buckets(settings.org_runs_per_minute)

    def request(self, caller: Caller) -> None:
        """Count a request. Raises TooManyRequests."""
        principal, org = _names(caller)
        self._requests.take(principal, "requests by this principal")
        self._org_requests.take(org, "requests of this organisation")

    def run(self, caller: Caller) -> None:
        """Count a run that is to be made. Raises TooManyRequests."""
        principal, org = _names(caller)
        self._runs.take(principal, "runs by this principal")
        self._org_runs.take(org, "runs of this organisation")


class _Buckets:
    """One bucket per name, kept as the time at which it will be full again."""

    def __init__(self, per_minute: int) -> None:
        self._per_minute = per_minute
        self._cost = _MINUTE / per_minute
        self._full_at: dict[str, float] = {}
        self._lock = threading.Lock()

    def take(self, name: str, what: str) -> None:
        """Take one token. Raises TooManyRequests, with the seconds until there is one."""
        now = time.monotonic()
        with self._lock:
            full_at = max(self._full_at.get(name, now), now) + self._cost
            wait = full_at - now - _MINUTE
            if wait <= 1e-9:
                self._full_at[name] = full_at
                if len(self._full_at) > _MOST:
                    self._full_at = {key: at for key, at in self._full_at.items() if at > now}
        if wait > 1e-9:
            raise TooManyRequests(f"More than {self._per_minute} {what} within a minute.", after=wait)


def _names(caller: Caller) -> tuple[str, str]:
    org = caller.scope.org_id
    return f"{org} {caller.principal.user_id}", org
