"""Runs executed: plan, read the splits, commit once.

A `Worker` claims runs from the queue and makes an attempt at each. An attempt plans the window into splits,
reads them in parallel into staged files, and commits these in one snapshot; it owns its run only as long as
its lease lasts.
"""

from headgate.engine.worker import Worker

__all__ = ["Worker"]
