"""Mapping sets: what becomes of each record on its way to the lake, compiled to SQL and never evaluated."""

from headgate.mapping.compiler import Projection, compiled, thawed
from headgate.mapping.faults import rejection
from headgate.mapping.held import held
from headgate.mapping.rules import Rule, Unmappable, rule_of, written_path
from headgate.mapping.shapes import Shape, shape_of
from headgate.mapping.trial import check, preview, unmapped

__all__ = [
    "Projection",
    "Rule",
    "Shape",
    "Unmappable",
    "check",
    "compiled",
    "held",
    "preview",
    "rejection",
    "rule_of",
    "shape_of",
    "thawed",
    "unmapped",
    "written_path",
]
