"""The pages, one module for each group of them."""

from headgate.console.page import Pages
from headgate.console.pages import (
    audit,
    connections,
    datasets,
    flows,
    overview,
    people,
    run_dialog,
    runs,
    sources,
    wizard,
    workers,
)

__all__ = ["GROUPS"]

GROUPS: tuple[Pages, ...] = (
    overview.pages,
    sources.pages,
    connections.pages,
    wizard.pages,
    flows.pages,
    run_dialog.pages,
    runs.pages,
    datasets.pages,
    workers.pages,
    people.pages,
    audit.pages,
)
"""Every group, in the order in which addresses are tried."""
