"""What can be read.

A source turns a window into splits. A split is one SQL text for DuckDB that yields exactly its rows, typed as
the lake will hold them; it can be retried alone, on any worker that can reach the source. `open_source()`
finds the source for a connection spec; nothing outside this package knows which sources there are.
"""

from headgate.sources.interface import (
    LONGEST_SHOWN,
    Entry,
    FileRef,
    Preview,
    Reading,
    Relation,
    Selection,
    Source,
    Split,
    Survey,
)
from headgate.sources.references import is_reference
from headgate.sources.registry import landing_upload, open_source, sweep_copies, sweep_landing_zones
from headgate.sources.specs import ConnectionSpec, FlowSpec, connection_specs, flow_specs, plugged, take_manifests

__all__ = [
    "LONGEST_SHOWN",
    "ConnectionSpec",
    "Entry",
    "FileRef",
    "FlowSpec",
    "Preview",
    "Reading",
    "Relation",
    "Selection",
    "Source",
    "Split",
    "Survey",
    "connection_specs",
    "flow_specs",
    "is_reference",
    "landing_upload",
    "open_source",
    "plugged",
    "sweep_copies",
    "sweep_landing_zones",
    "take_manifests",
]
