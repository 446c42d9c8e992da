"""The way around: which pages stand in the menu, in which order."""

from typing import NamedTuple

__all__ = ["NAVIGATION", "Entry"]


class Entry(NamedTuple):
    """A page in the menu. Who may not see the page does not see the entry; `icon` is a name in `icons`."""

    label: str
    path: str
    icon: str


NAVIGATION = (
    Entry("Overview", "/", "overview"),
    Entry("Sources", "/sources", "sources"),
    Entry("Connections", "/connections", "connections"),
    Entry("Flows", "/flows", "flows"),
    Entry("Runs", "/runs", "runs"),
    Entry("Datasets", "/datasets", "datasets"),
    Entry("Workers", "/workers", "workers"),
    Entry("People", "/people", "people"),
    Entry("Audit", "/audit", "audit"),
)
