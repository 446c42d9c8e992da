"""The pages, one module for each group of them."""

from headgate.console.page import Pages
from headgate.console.pages import (
    connections,
    overview,
    sources,
)

__all__ = ["GROUPS"]

GROUPS: tuple[Pages, ...] = (overview.pages, sources.pages, connections.pages)
"""Every group, in the order in which addresses are tried."""
