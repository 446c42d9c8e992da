"""The Python client: the service's public API and nothing else.

with headgate.Client.local("headgate-data") as client:
    run = client.runs.start("flights", window=("2013-03-01", "2013-04-01"), delta_column="time_hour").wait()
"""

from headgate.client.client import AsyncClient, Client
from headgate.client.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    RequestFailed,
    RunFailed,
    Unavailable,
    WaitTimedOut,
)
from headgate.client.runs import Run, RunEvent
from headgate.client.shapes import Moment, Window
from headgate.client.times import parse_time

__all__ = [
    "AsyncClient",
    "Client",
    "Conflict",
    "Invalid",
    "Moment",
    "NotAllowed",
    "NotFound",
    "RequestFailed",
    "Run",
    "RunEvent",
    "RunFailed",
    "Unavailable",
    "WaitTimedOut",
    "Window",
    "parse_time",
]
