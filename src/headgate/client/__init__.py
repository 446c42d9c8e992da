"""The Python client: the service's public API and nothing else.

with Client.local("headgate-data") as client:
    run = client.start_run("flights", window=("2013-03-01", "2013-04-01"), delta_column="time_hour")
    client.wait(run["id"])
"""

from headgate.client.client import Client, RequestFailed, RunFailed, WaitTimedOut
from headgate.client.times import parse_time

__all__ = ["Client", "RequestFailed", "RunFailed", "WaitTimedOut", "parse_time"]
