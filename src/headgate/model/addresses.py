"""Where the flow service and its neighbours are found below a deployment's address."""

__all__ = [
    "ACCESS",
    "CATALOG",
    "CONVERSION",
    "EXPORT",
    "FLOW_SERVICE",
    "IMPORT",
    "INSIGHTS",
    "REGISTRY",
    "SANDBOXES",
]

FLOW_SERVICE = "/data/foundation/flowservice"
CATALOG = "/data/foundation/catalog"
IMPORT = "/data/foundation/import"
EXPORT = "/data/foundation/export"
REGISTRY = "/data/foundation/schemaregistry"
CONVERSION = "/data/foundation/conversion"
SANDBOXES = "/data/foundation/sandbox-management"
ACCESS = "/data/foundation/access-control"
INSIGHTS = "/data/infrastructure/observability/insights"
