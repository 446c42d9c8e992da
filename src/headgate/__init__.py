"""Headgate: a self-hosted flow service.

with headgate.Client.local("headgate-data") as client:
    run = client.runs.start("orders", window=("-7d", "today"), delta_column="updated_at").wait()
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from headgate.client import (
        AsyncClient,
        Client,
        Conflict,
        Invalid,
        NotAllowed,
        NotFound,
        RequestFailed,
        Run,
        RunFailed,
        Unavailable,
        WaitTimedOut,
    )
    from headgate.errors import HeadgateError

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "HeadgateError",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "RequestFailed",
    "Run",
    "RunFailed",
    "Unavailable",
    "WaitTimedOut",
    "__version__",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    """The client's names, when they are first asked for: whoever runs the service does not load it."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module("headgate.errors" if name == "HeadgateError" else "headgate.client"), name)


def __dir__() -> list[str]:
    return sorted(__all__)
