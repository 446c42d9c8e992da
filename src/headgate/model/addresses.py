"""Where the flow service and its neighbours are found below a deployment's address."""

__all__ = [
    "ACCESS",
    "CATALOG",
    "CONNECTORS",
    "CONVERSION",
    "EXPORT",
    "FLOW_SERVICE",
    "HEADGATE",
    "IMPORT",
    "INSIGHTS",
    "REGISTRY",
    "ROW_ERRORS",
    "SAMPLE",
    "SANDBOXES",
]

FLOW_SERVICE = "/data/foundation/flowservice"
CATALOG = "/data/foundation/catalog"
IMPORT = "/data/foundation/import"
EXPORT = "/data/foundation/export"
REGISTRY = "/data/foundation/schemaregistry"
CONNECTORS = "/data/foundation/connectors"
CONVERSION = "/data/foundation/conversion"
SANDBOXES = "/data/foundation/sandbox-management"
ACCESS = "/data/foundation/access-control"
INSIGHTS = "/data/infrastructure/observability/insights"

HEADGATE = "/headgate"
"""What the public contract has no address for."""

ROW_ERRORS = "row_errors"
"""The folder of what is known about a batch that lists the records it rejected."""

SAMPLE = "row_errors_sample.json"
"""The file beside it with the first of them."""
