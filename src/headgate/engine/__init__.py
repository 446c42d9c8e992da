"""Runs executed: plan, read the splits, commit once.

A `Worker` claims runs from the queue and makes an attempt at each. An attempt plans the window into splits,
reads them in parallel into staged files, and commits these in one snapshot; it owns its run only as long as
its lease lasts. An `Announcer` tells webhooks how runs began and ended, and `Receivers` calls them.
"""

from headgate.engine.announcer import Announcer
from headgate.engine.receivers import Receivers
from headgate.engine.upkeep import next_upkeep
from headgate.engine.worker import Worker

__all__ = ["Announcer", "Receivers", "Worker", "next_upkeep"]
