"""The pages, one module for each group of them."""

from headgate.console.page import Pages
from headgate.console.pages import (
    audit,
    connections,
    datasets,
    flows,
    overview,
    people,
    runs,
    sources,
    workers,
)

__all__ = ["GROUPS"]

GROUPS: tuple[Pages, ...] = (
    overview.pages,
    sources.pages,
    connections.pages,
    flows.pages,
    runs.pages,
    datasets.pages,
    workers.pages,
    people.pages,
    audit.pages,
)
"""Every group, in the order in which addresses are tried."""
