"""What answers look like, for the OpenAPI description: one entry for every route that answers with JSON.

Bodies of requests are in `schemas` and `catalog_schemas`. Listings may project members away, so that only the `id` of
their items is certain.
"""

from typing import Any

__all__ = ["ANSWERS", "LISTING", "PAGED"]

Schema = dict[str, Any]

_TEXT: Schema = {"type": "string"}
_TIME: Schema = {"type": "integer", "description": "Milliseconds since the epoch."}
_COUNT: Schema = {"type": "integer"}
_MAP: Schema = {"type": "object"}


def _object(required: str, **properties: Schema) -> Schema:
    return {"type": "object", "required": required.split(), "properties": properties}


def _list(item: Schema) -> Schema:
    return {"type": "array", "items": item}


_AUDIT = {
    "id": _TEXT,
    "createdAt": _TIME,
    "updatedAt": _TIME,
    "createdBy": _TEXT,
    "updatedBy": _TEXT,
    "createdClient": _TEXT,
    "updatedClient": _TEXT,
    "sandboxId": _TEXT,
    "sandboxName": _TEXT,
    "imsOrgId": _TEXT,
    "etag": _TEXT,
}
_WHOLE = " ".join(_AUDIT)
_RESOURCE = _object(f"{_WHOLE} state version", **_AUDIT, state=_TEXT, version=_TEXT, name=_TEXT)
_STATUS = {"type": "string", "enum": ["scheduled", "queued", "inProgress", "success", "failed", "cancelled"]}
_ACTIVITY = _object("id statusSummary", id=_TEXT, statusSummary=_MAP)
_RUN = _object(
    f"{_WHOLE} flowId flowSpec params metrics activities",
    **_AUDIT,
    flowId=_TEXT,
    flowSpec=_MAP,
    params=_MAP,
    parentFlowRunId=_TEXT,
    childFlowRunIds=_list(_TEXT),
    metrics=_object("statusSummary", statusSummary=_object("status", status=_STATUS)),
    activities=_list(_ACTIVITY),
)
_LINKS = _object("", next=_object("href", href=_TEXT))
_REFERENCES = _list(_object("id etag", id=_TEXT, etag=_TEXT))
_SPEC = _object("id name version attributes", id=_TEXT, name=_TEXT, version=_TEXT, attributes=_MAP)
_ACTED = _object("id etag", id=_TEXT, etag=_TEXT)
_SANDBOX = _object(
    "id name title state type region isDefault eTag etag createdDate lastModifiedDate createdBy modifiedBy",
    id=_TEXT,
    name=_TEXT,
    title=_TEXT,
    state=_TEXT,
    type=_TEXT,
    isDefault={"type": "boolean"},
    eTag=_COUNT,
    etag=_COUNT,
)
_BY_ID: Schema = {"type": "object", "additionalProperties": _MAP}
_WRITTEN = {"type": "array", "items": {"type": "string", "pattern": "^@/dataSets/[0-9a-f]{24}$"}}
_FILES = _object("data _page", data=_list(_MAP), _page=_MAP)
_SET = _object("id version", id=_TEXT, version=_COUNT)
_MAPPING = _object("sourceType source destination", sourceType=_TEXT, source=_TEXT, destination=_TEXT)
_PROBLEMS: Schema = {"type": ["array", "null"], "items": _MAP}
_STATE = _object("status", status=_TEXT)


def _page(item: Schema) -> Schema:
    listed = {**item, "required": ["id"]}
    page = _object("items _links", items=_list(listed), _links=_LINKS)
    return {"anyOf": [page, _object("count", count={"type": "integer", "minimum": 0})]}


def _one(item: Schema) -> Schema:
    return _object("items _links", items={**_list(item), "minItems": 1, "maxItems": 1}, _links=_MAP)


def _listed_beside(item: Schema) -> Schema:
    """The item, and besides a list of itself."""
    return {**item, "properties": {**item["properties"], "items": _list(_MAP)}}


LISTING: tuple[Schema, ...] = tuple(
    {"name": name, "in": "query", "required": False, "schema": schema, "description": text}
    for name, schema, text in (
        (
            "property",
            _list(_TEXT),
            "A filter such as state==failed, or a comma list of members to show; several are joined by AND.",
        ),
        ("orderby", _TEXT, "A field, after - for descending order. Default: -createdAt."),
        ("limit", {"type": "integer", "minimum": 1, "maximum": 1000}, "Items of a page. Default: 100."),
        ("count", {"type": "boolean"}, "Answer only with how many match."),
        ("continuationToken", _TEXT, "From the link to the next page."),
    )
)

_FLOW_SERVICE = {
    **{
        f"{method} /{kind}{rest}": shape
        for kind in ("connections", "sourceConnections", "targetConnections", "flows")
        for method, rest, shape in (
            ("GET", "", _page(_RESOURCE)),
            ("POST", "", _object("id etag", id=_TEXT, etag=_TEXT)),
            ("POST", "/search", _page(_RESOURCE)),
            ("GET", "/{id}", _one(_RESOURCE)),
            ("PATCH", "/{id}", _listed_beside(_RESOURCE)),
            ("POST", "/{id}/action", _ACTED),
        )
    },
    **{
        f"{method} /{kind}{rest}": shape
        for kind in ("connectionSpecs", "flowSpecs")
        for method, rest, shape in (
            ("GET", "", _object("items _links", items=_list({**_SPEC, "required": ["id"]}), _links=_MAP)),
            ("POST", "", _SPEC),
            ("POST", "/search", _MAP),
            ("GET", "/{id}", _listed_beside(_SPEC)),
            ("PUT", "/{id}", _SPEC),
        )
    },
    **{
        f"GET /{kind}/{{id}}/{rest}": shape
        for kind in ("connections", "connectionSpecs")
        for rest, shape in (
            ("explore", {"type": ["array", "object"]}),
            ("configs", _object("items", items=_list(_MAP))),
        )
    },
    "GET /connections/{id}/test": _object("result", result={"type": "boolean"}),
    "GET /runs": _page(_RUN),
    "GET /flows/{id}/runs": _page(_RUN),
    "POST /runs": _object(f"{_WHOLE} items", **_RUN["properties"], items=_REFERENCES),
    "GET /runs/{id}": _one(_RUN),
    "PUT /runs/{id}": _RUN,
    "POST /runs/{id}/action": _object(f"{_WHOLE} items", **_RUN["properties"], items=_REFERENCES),
}
_SANDBOXES = {
    "GET ": _object("sandboxes _page _links", sandboxes=_list(_SANDBOX), _page=_MAP, _links=_MAP),
    "GET /sandboxes": _object("sandboxes _page _links", sandboxes=_list(_SANDBOX), _page=_MAP, _links=_MAP),
    "GET /sandboxTypes": _object("sandboxTypes", sandboxTypes=_list(_object("id title", id=_TEXT, title=_TEXT))),
    **{
        f"{method} /sandboxes{rest}": _SANDBOX
        for method, rest in (
            ("POST", ""),
            ("GET", "/{name}"),
            ("PATCH", "/{name}"),
            ("PUT", "/{name}"),
            ("DELETE", "/{name}"),
        )
    },
}
_CATALOG = {
    "GET /dataSets": _BY_ID,
    "GET /dataSets/{id}": _BY_ID,
    "GET /batches": _BY_ID,
    "GET /lastBatches": _BY_ID,
    "GET /batches/{id}": _BY_ID,
    **dict.fromkeys(
        (
            "POST /dataSets",
            "PATCH /dataSets/{id}",
            "PUT /dataSets/{id}",
            "DELETE /dataSets/{id}",
            "PATCH /v2/dataSets/{id}",
        ),
        _WRITTEN,
    ),
}
_EXPORT = {
    "GET /batches/{id}/files": _FILES,
    "GET /batches/{id}/meta": _FILES,
    "GET /batches/{id}/failed": _FILES,
    "GET /files/{id}": _FILES,
    "GET /datasets/{id}/preview": _object("data", data=_list(_MAP)),
}
_REGISTRY = {
    "GET /stats": _object("imsOrg tenantId counts", imsOrg=_TEXT, tenantId=_TEXT, counts=_MAP),
    "GET /{container}/{collection}": _object("results _page _links", results=_list(_MAP), _page=_MAP, _links=_MAP),
    **{
        f"{method} /{{container}}/{{collection}}{rest}": _MAP
        for method, rest in (("POST", ""), ("GET", "/{id}"), ("PUT", "/{id}"), ("PATCH", "/{id}"))
    },
}
_CONVERSION = {
    "POST /mappingSets": _SET,
    "GET /mappingSets": _object("data _page _links", data=_list(_SET), _page=_MAP, _links=_MAP),
    "GET /mappingSets/{id}": _SET,
    "PUT /mappingSets/{id}": _SET,
    "POST /mappingSets/validate": _object(
        "validationResponse", validationResponse=_list(_object("status errors", status=_TEXT, errors=_PROBLEMS))
    ),
    "POST /mappingSets/preview": _object("data errors", data={"type": ["array", "object"]}, errors=_PROBLEMS),
    "GET /mappingSets/{id}/mappings": _list(_MAPPING),
    "POST /mappingSets/{id}/mappings": _MAPPING,
    "GET /mappingSets/{id}/mappings/{mapping_id}": _MAPPING,
    "PUT /mappingSets/{id}/mappings/{mapping_id}": _MAPPING,
    "GET /languages/el/functions": _list(_MAP),
    "GET /languages/el/operators": _list(_MAP),
    "POST /languages/el/validate": {"type": "boolean"},
}
_IDENTITY = {
    **{
        f"POST /ims/token/v{version}": _object(
            "access_token expires_in token_type",
            access_token=_TEXT,
            expires_in={"type": "integer", "description": "Seconds."},
            token_type=_TEXT,
        )
        for version in (1, 2, 3)
    },
    "GET /ims/userinfo/v2": _object("sub", sub=_TEXT),
    "GET /.well-known/openid-configuration": _object("issuer jwks_uri", issuer=_TEXT, jwks_uri=_TEXT),
    "GET /ims/keys": _object("keys", keys=_list(_MAP)),
}
_FOUNDATION = "/data/foundation"

ANSWERS: dict[str, Schema] = {
    f"{method} {prefix}{path}": shape
    for prefix, group in {
        "": {**_IDENTITY, "GET /health/live": _STATE, "GET /health/ready": _STATE},
        f"{_FOUNDATION}/flowservice": _FLOW_SERVICE,
        f"{_FOUNDATION}/sandbox-management": _SANDBOXES,
        f"{_FOUNDATION}/catalog": _CATALOG,
        f"{_FOUNDATION}/export": _EXPORT,
        f"{_FOUNDATION}/import": {"POST /batches/{id}": _MAP},
        f"{_FOUNDATION}/schemaregistry": _REGISTRY,
        f"{_FOUNDATION}/conversion": _CONVERSION,
        f"{_FOUNDATION}/access-control": {
            "GET /acl/reference": _object("permissions resource-types", permissions=_MAP),
            "POST /acl/effective-policies": _object("policies", policies=_MAP),
        },
        "/data/infrastructure/observability/insights": {
            "POST /metrics": _object("metricResponses", metricResponses=_list(_MAP))
        },
    }.items()
    for route, shape in group.items()
    for method, _, path in [route.partition(" ")]
}

PAGED = frozenset(route for route, shape in ANSWERS.items() if route.startswith("GET ") and "anyOf" in shape)
"""The listings of the flow service, which all take the parameters of `LISTING`."""
