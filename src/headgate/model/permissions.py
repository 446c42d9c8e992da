"""What a caller may do. The names are those the public access-control API uses, where it has one."""

from enum import StrEnum

__all__ = ["EVERYTHING", "Permission"]


class Permission(StrEnum):
    """One right in one sandbox. Every route of the API declares the one it needs."""

    VIEW_SOURCES = "view-sources"
    MANAGE_SOURCES = "manage-sources"
    RUN_ON_DEMAND = "run-on-demand"
    VIEW_DATASETS = "view-datasets"
    MANAGE_DATASETS = "manage-datasets"
    VIEW_SCHEMAS = "view-schemas"
    MANAGE_SCHEMAS = "manage-schemas"
    VIEW_SANDBOXES = "view-sandboxes"
    MANAGE_SANDBOXES = "manage-sandboxes"
    RESET_SANDBOXES = "reset-sandboxes"
    VIEW_MONITORING = "view-monitoring-dashboard"
    VIEW_AUDIT = "view-user-activity-log"
    MANAGE_SPECS = "manage-specs"
    MANAGE_ACCESS = "manage-access"


EVERYTHING = frozenset(Permission)
