"""Everything the API can do has a command, or a reason why it needs none."""

from tests.docs.reference import addresses, commands

FLOW = "/data/foundation/flowservice"
CATALOG = "/data/foundation/catalog"
EXPORT = "/data/foundation/export"
PREP = "/data/foundation/conversion"
SANDBOXES = "/data/foundation/sandbox-management"
REGISTRY = "/data/foundation/schemaregistry"
DOCUMENTS = ("schemas", "field-groups", "classes", "data-types", "descriptors")

COMMANDS: dict[str, tuple[str, ...]] = {
    f"GET {FLOW}/connectionSpecs": ("specs list",),
    f"POST {FLOW}/connectionSpecs": ("specs add",),
    f"GET {FLOW}/connectionSpecs/{{id}}": ("specs show",),
    f"PUT {FLOW}/connectionSpecs/{{id}}": ("specs replace",),
    f"GET {FLOW}/connectionSpecs/{{id}}/explore": ("specs explore",),
    f"GET {FLOW}/flowSpecs": ("flow-specs list",),
    f"POST {FLOW}/flowSpecs": ("flow-specs add",),
    f"GET {FLOW}/flowSpecs/{{id}}": ("flow-specs show",),
    f"PUT {FLOW}/flowSpecs/{{id}}": ("flow-specs replace",),
    **{
        address: tuple(f"{command} {word}" for word in words)
        for kind, command in (
            ("connections", "connections"),
            ("sourceConnections", "source-connections"),
            ("targetConnections", "target-connections"),
            ("flows", "flows"),
        )
        for address, words in {
            f"GET {FLOW}/{kind}": ("list",),
            f"POST {FLOW}/{kind}": ("create",),
            f"GET {FLOW}/{kind}/{{id}}": ("show",),
            f"PATCH {FLOW}/{kind}/{{id}}": ("update",),
            f"DELETE {FLOW}/{kind}/{{id}}": ("delete",),
            f"POST {FLOW}/{kind}/{{id}}/action": ("publish", *(("enable", "disable") if kind == "flows" else ())),
        }.items()
    },
    f"GET {FLOW}/connections/{{id}}/explore": ("connections explore", "connections preview"),
    f"GET {FLOW}/connections/{{id}}/test": ("connections test",),
    f"GET {FLOW}/flows/{{id}}/windows": ("flows windows", "backfill"),
    f"GET {FLOW}/flows/{{id}}/runs": ("runs list",),
    f"GET {FLOW}/runs": ("runs list",),
    f"POST {FLOW}/runs": ("runs start", "backfill"),
    f"GET {FLOW}/runs/{{id}}": ("runs show", "runs wait"),
    f"POST {FLOW}/runs/{{id}}/action": ("runs cancel", "runs retry"),
    f"GET {FLOW}/runs/{{id}}/details": ("runs show", "runs logs"),
    f"GET {FLOW}/runs/{{id}}/events": ("runs events", "runs logs"),
    f"POST {FLOW}/runs:estimate": ("runs estimate",),
    f"GET {FLOW}/webhooks": ("webhooks list",),
    f"POST {FLOW}/webhooks": ("webhooks add",),
    f"GET {FLOW}/webhooks/{{id}}": ("webhooks show",),
    f"PATCH {FLOW}/webhooks/{{id}}": ("webhooks update",),
    f"DELETE {FLOW}/webhooks/{{id}}": ("webhooks remove",),
    f"GET {FLOW}/webhooks/{{id}}/deliveries": ("webhooks deliveries",),
    "GET /data/foundation/connectors/landingzone": ("landing-zone show",),
    "GET /data/foundation/connectors/landingzone/credentials": ("landing-zone show",),
    f"GET {CATALOG}/batches": ("batches list",),
    f"GET {CATALOG}/batches/{{id}}": ("batches show",),
    f"GET {CATALOG}/dataSets": ("datasets list",),
    f"POST {CATALOG}/dataSets": ("datasets create",),
    f"GET {CATALOG}/dataSets/{{id}}": ("datasets show",),
    f"PATCH {CATALOG}/dataSets/{{id}}": ("datasets update",),
    f"PUT {CATALOG}/dataSets/{{id}}": ("datasets replace",),
    f"DELETE {CATALOG}/dataSets/{{id}}": ("datasets delete",),
    "POST /data/foundation/import/batches/{id}": ("batches revert",),
    f"GET {EXPORT}/batches/{{id}}/failed": ("batches files", "batches download"),
    f"GET {EXPORT}/batches/{{id}}/files": ("batches files", "batches download"),
    f"GET {EXPORT}/batches/{{id}}/meta": ("batches errors",),
    f"GET {EXPORT}/datasets/{{id}}/preview": ("datasets preview",),
    f"GET {EXPORT}/files/{{id}}": ("batches download",),
    f"GET {REGISTRY}/stats": ("schemas stats",),
    f"GET {REGISTRY}/{{container}}/{{collection}}": tuple(f"{one} list" for one in (*DOCUMENTS, "behaviors")),
    f"POST {REGISTRY}/{{container}}/{{collection}}": tuple(f"{one} create" for one in DOCUMENTS),
    f"GET {REGISTRY}/{{container}}/{{collection}}/{{id}}": tuple(f"{one} show" for one in (*DOCUMENTS, "behaviors")),
    f"PUT {REGISTRY}/{{container}}/{{collection}}/{{id}}": tuple(f"{one} replace" for one in DOCUMENTS),
    f"PATCH {REGISTRY}/{{container}}/{{collection}}/{{id}}": tuple(f"{one} update" for one in DOCUMENTS),
    f"DELETE {REGISTRY}/{{container}}/{{collection}}/{{id}}": tuple(f"{one} delete" for one in DOCUMENTS),
    f"GET {PREP}/languages/el/functions": ("mapping-sets language",),
    f"GET {PREP}/languages/el/operators": ("mapping-sets language",),
    f"POST {PREP}/languages/el/validate": ("mapping-sets language",),
    f"GET {PREP}/mappingSets": ("mapping-sets list",),
    f"POST {PREP}/mappingSets": ("mapping-sets create",),
    f"POST {PREP}/mappingSets/preview": ("mapping-sets preview",),
    f"POST {PREP}/mappingSets/validate": ("mapping-sets validate",),
    f"GET {PREP}/mappingSets/{{id}}": ("mapping-sets show",),
    f"PUT {PREP}/mappingSets/{{id}}": ("mapping-sets replace",),
    f"DELETE {PREP}/mappingSets/{{id}}": ("mapping-sets delete",),
    f"GET {PREP}/mappingSets/{{id}}/mappings": ("mappings list",),
    f"POST {PREP}/mappingSets/{{id}}/mappings": ("mappings add",),
    f"GET {PREP}/mappingSets/{{id}}/mappings/{{mapping_id}}": ("mappings show",),
    f"PUT {PREP}/mappingSets/{{id}}/mappings/{{mapping_id}}": ("mappings replace",),
    f"DELETE {PREP}/mappingSets/{{id}}/mappings/{{mapping_id}}": ("mappings delete",),
    f"GET {SANDBOXES}/sandboxes": ("sandboxes list",),
    f"POST {SANDBOXES}/sandboxes": ("sandboxes add",),
    f"PATCH {SANDBOXES}/sandboxes/{{name}}": ("sandboxes rename",),
    f"PUT {SANDBOXES}/sandboxes/{{name}}": ("sandboxes reset",),
    f"DELETE {SANDBOXES}/sandboxes/{{name}}": ("sandboxes delete",),
    "POST /data/foundation/access-control/acl/effective-policies": ("permissions check", "permissions list", "whoami"),
    "GET /data/foundation/access-control/acl/reference": ("permissions list",),
    "POST /data/infrastructure/observability/insights/metrics": ("metrics",),
    "GET /headgate/activity": ("activity",),
    "GET /headgate/audit": ("audit",),
    "GET /headgate/clients": ("clients list",),
    "POST /headgate/clients": ("clients add",),
    "DELETE /headgate/clients/{id}": ("clients remove",),
    "POST /headgate/clients/{id}/code": ("login",),
    "POST /headgate/clients/{id}/rotate": ("clients rotate",),
    "GET /headgate/datasets/{id}/schema": ("datasets schema",),
    "GET /headgate/datasets/{id}/snapshots": ("datasets snapshots",),
    "GET /headgate/grants": ("roles grants",),
    "POST /headgate/grants": ("roles grant",),
    "DELETE /headgate/grants/{id}": ("roles revoke",),
    "GET /headgate/organisations": ("orgs list", "whoami"),
    "GET /headgate/people": ("people",),
    "POST /headgate/queries": ("query",),
    "GET /headgate/queue": ("queue",),
    "GET /headgate/roles": ("roles list",),
    "POST /headgate/roles": ("roles add",),
    "DELETE /headgate/roles/{id}": ("roles remove",),
    "GET /headgate/workers": ("workers",),
    "GET /health/live": ("console",),
    "GET /health/ready": ("doctor",),
    "GET /ims/userinfo/v2": ("whoami",),
}
"""Each address, and the commands that are for what it does."""

_SEARCH = "POST of the equal GET, for programs with long queries: `list --filter` asks the same"
_COLUMNS = "`explore OBJECT` shows the same columns, with more about them"
_TOKENS = "commands get their tokens by themselves: from the data folder, `login`, or a client's credentials"

REASONS: dict[str, str] = {
    **{
        f"POST {FLOW}/{kind}/search": _SEARCH
        for kind in ("connectionSpecs", "connections", "flowSpecs", "flows", "sourceConnections", "targetConnections")
    },
    f"GET {FLOW}/connections/{{id}}/configs": _COLUMNS,
    f"GET {FLOW}/connectionSpecs/{{id}}/configs": _COLUMNS,
    f"PUT {FLOW}/runs/{{id}}": "for source providers, by their service tokens; people have `api PUT`",
    f"GET {CATALOG}/lastBatches": "the same as the list of batches",
    f"PATCH {CATALOG}/v2/dataSets/{{id}}": "`datasets update --set extensions.…` merges the same",
    f"GET {SANDBOXES}": "`sandboxes list` shows these among the others, with their states",
    f"GET {SANDBOXES}/sandboxTypes": "`sandboxes add --type` offers them",
    f"GET {SANDBOXES}/sandboxes/{{name}}": "`sandboxes list` shows all that is known of each",
    "GET /headgate/datasets/{id}/preview": "`datasets preview` shows the same rows, by the contract's own address",
    "POST /ims/token/v1": _TOKENS,
    "POST /ims/token/v2": _TOKENS,
    "POST /ims/token/v3": _TOKENS,
    "GET /ims/keys": "for verifiers of tokens",
    "GET /.well-known/openid-configuration": "for verifiers of tokens",
}
"""Addresses without a command, and why."""


def test_every_address_has_a_command_or_a_reason() -> None:
    there = {f"{method.upper()} {path}" for path, methods in addresses().items() for method in methods}
    assert there - COMMANDS.keys() - REASONS.keys() == set(), "Add a command to src/headgate/cli, and name it here."
    assert (COMMANDS.keys() | REASONS.keys()) - there == set(), "There is no such address any more."
    assert COMMANDS.keys() & REASONS.keys() == set()


def test_every_command_that_is_named_exists() -> None:
    there = {" ".join(path) for path in commands()}
    assert {f"headgate {name}" for names in COMMANDS.values() for name in names} - there == set()
