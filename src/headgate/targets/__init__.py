"""What can be written: Iceberg tables."""

from headgate.targets.iceberg import Lake, LakeTable, Landed, Replacement, Staged

__all__ = ["Lake", "LakeTable", "Landed", "Replacement", "Staged"]
