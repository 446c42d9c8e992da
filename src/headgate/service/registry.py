"""The schema registry of a sandbox: schemas, field groups, classes, data types and descriptors."""

import copy
import hashlib
import json
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from headgate.errors import (
    BadFilterValue,
    BadSchema,
    BodyTooLarge,
    NotFound,
    RouteNotFound,
    SchemaInUse,
    SchemaNotFound,
    SchemaReadOnly,
    UnknownOperator,
)
from headgate.model.patch import apply, parse_patch
from headgate.model.query import Field, Filter, Order, Query, whole_number
from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json
from headgate.model.scope import Caller, Scope
from headgate.service import xdm
from headgate.service.bodies import shown, text
from headgate.service.paging import Parameters, known_parameters
from headgate.service.resources import new_resource, touched
from headgate.store import ScopedStore, Store

__all__ = ["Registry", "resolved_schema", "tenant_id"]

_KINDS = {
    "schemas": Kind.SCHEMA,
    "fieldgroups": Kind.FIELD_GROUP,
    "mixins": Kind.FIELD_GROUP,
    "classes": Kind.CLASS,
    "datatypes": Kind.DATA_TYPE,
    "descriptors": Kind.DESCRIPTOR,
}
_WORDS = {Kind.SCHEMA: "schemas", Kind.FIELD_GROUP: "mixins", Kind.CLASS: "classes", Kind.DATA_TYPE: "datatypes"}
_USERS = {
    Kind.FIELD_GROUP: (Kind.SCHEMA, Kind.FIELD_GROUP),
    Kind.CLASS: (Kind.SCHEMA,),
    Kind.DATA_TYPE: (Kind.FIELD_GROUP, Kind.DATA_TYPE, Kind.CLASS, Kind.SCHEMA),
}
_OWNED = frozenset(
    (
        "$id",
        "meta:altId",
        "meta:resourceType",
        "version",
        "imsOrg",
        "meta:class",
        "meta:extends",
        "meta:abstract",
        "meta:containerId",
        "meta:sandboxId",
        "meta:sandboxType",
        "meta:tenantNamespace",
        "meta:registryMetadata",
        "meta:descriptors",
    )
)
_LONGEST_TITLE, _LARGEST = 1000, 1024 * 1024
_MOST = 300
_WHOLE, _FULL = xdm.Form(), xdm.Form(full=True)


def tenant_id(scope: Scope) -> str:
    """The short name of an organisation, below which its own fields and documents are named."""
    return "org" + hashlib.sha256(scope.org_id.encode()).hexdigest()[:10]


class Registry:
    """The documents of a sandbox. A container is `tenant`, with its own ones, or `global`, with what all have."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def stats(self, caller: Caller) -> Json:
        """How many documents there are, the newest of them, and the tenant's id."""
        store = self._store.scoped(caller)
        newest = store.list(Kind.SCHEMA, Query(limit=10)).items
        recent = [_summary(_shown(item)) for item in newest]
        return {
            "imsOrg": caller.scope.org_id,
            "tenantId": tenant_id(caller.scope),
            "counts": {word: store.list(kind, Query(count=True)).total for kind, word in _WORDS.items()},
            "recentlyCreatedResources": recent,
            "recentlyUpdatedResources": recent,
        }

    def listing(
        self, caller: Caller, container: str, collection: str, parameters: Parameters, accept: str = ""
    ) -> Json:
        """One page of a collection. Raises RouteNotFound, InvalidRequest, SchemaVersionUnknown."""
        kind = _kind(container, collection)
        form = xdm.form_asked(accept, default=_WHOLE)
        properties, single = known_parameters(parameters, ("property", "orderby", "start", "limit"))
        if container == "global":
            documents = list(_standard(collection))
        else:
            store = self._store.scoped(caller)
            documents = [] if kind is None else [_shown(item) for item in _all(store, kind)]
        wanted = [_condition(part) for given in properties for part in _parts(given)]
        documents = [document for document in documents if all(_holds(document, *one) for one in wanted)]
        order = single.get("orderby", "updated")
        documents.sort(key=lambda document: _place(document, order.lstrip("+- ")), reverse=order.startswith("-"))
        # One client reads every further page of descriptors without saying where to go on.
        most = len(documents) if kind is Kind.DESCRIPTOR else _MOST
        start, limit = whole_number("start", single.get("start", "0")), most
        if "limit" in single:
            limit = whole_number("limit", single["limit"], 1)
        page = documents[start : start + limit]
        more = str(start + limit) if start + limit < len(documents) else None
        return {
            "results": [self._in_form(caller, document, form, one=False) for document in page],
            "_page": {"orderby": order, "next": more, "count": len(page)},
            "_links": {"next": {"href": f"/{container}/{collection}?start={more}"}} if more else {},
        }

    def get(self, caller: Caller, container: str, collection: str, id_: str, accept: str = "") -> Json | str:
        """The document with this `$id`, `meta:altId` or `@id`. Raises SchemaNotFound, SchemaVersionUnknown."""
        kind = _kind(container, collection)
        form = xdm.form_asked(accept, default=_WHOLE if kind is Kind.DESCRIPTOR else _FULL)
        document = next((found for found in _standard(collection) if id_ in (found["$id"], found["meta:altId"])), None)
        if document is None:
            if kind is None or container == "global":
                raise _unknown(id_)
            document = _shown(_get(self._store.scoped(caller), kind, id_))
        made: Json | str = self._in_form(caller, document, form, one=True)
        return made

    def create(self, caller: Caller, container: str, collection: str, body: Json) -> Json:
        """Make a document and give it whole. Raises BadSchema, BadParameter, SchemaReadOnly."""
        kind = _own(container, collection)
        store = self._store.scoped(caller)
        id_ = uuid.uuid4().hex
        content, links = self._content(store, kind, id_, body)
        content["meta:sandboxType"] = self._store.sandboxes.get(caller.scope.org_id, caller.scope.sandbox_name).type
        title = str(content.get("title") or content.get("@type"))
        made = new_resource(kind, caller, title, content, id_=id_)
        store.add(made, links=links)
        return _shown(made)

    def replace(self, caller: Caller, container: str, collection: str, id_: str, body: Json) -> Json:
        """Put another document in place of one and give it whole. Raises as `create()`, and SchemaNotFound."""
        kind = _own(container, collection)
        return self._change(caller, _get(self._store.scoped(caller), kind, id_), body)

    def patch(self, caller: Caller, container: str, collection: str, id_: str, patch: Sequence[Json]) -> Json:
        """Change parts of a document and give it whole. Raises as `replace()`, and what a patch can be wrong in."""
        found = _get(self._store.scoped(caller), _own(container, collection), id_)
        operations = parse_patch([_appending(found.body, operation) for operation in patch])
        return self._change(caller, found, apply(found.body, operations))

    def delete(self, caller: Caller, container: str, collection: str, id_: str) -> None:
        """Remove a document that no dataset and no other document uses. Raises SchemaNotFound, SchemaInUse."""
        kind = _own(container, collection)
        store = self._store.scoped(caller)
        found = _get(store, kind, id_)
        if kind is Kind.SCHEMA:
            address = _address(store.scope, kind, found.id)
            named = Filter(Field("body.schemaRef.id"), "==", (address, xdm.alt_id(address)))
            if datasets := store.list(Kind.DATASET, Query(filters=(named,), limit=1)).items:
                raise SchemaInUse(f"The schema {found.name!r} is used by the dataset {datasets[0].id}.")
        for user in _USERS.get(kind, ()):
            if users := store.users(found.id, user):
                raise SchemaInUse(f"{found.name!r} is used by the {user} entry {users[0]}. Take it out there first.")
        store.delete(kind, found.id)

    # -- inside ----------------------------------------------------------------------------------

    def _change(self, caller: Caller, found: Resource, body: Json) -> Json:
        store = self._store.scoped(caller)
        content, links = self._content(store, found.kind, found.id, body)
        content["meta:sandboxType"] = found.body["meta:sandboxType"]
        if found.kind is not Kind.DESCRIPTOR:
            content["version"] = f"1.{int(str(found.body['version']).partition('.')[2]) + 1}"
        name = str(content.get("title") or content.get("@type"))
        changed = touched(found.evolve(name=name, body=content), caller)
        store.update(changed, etag=found.etag, links=links)
        return _shown(changed)

    def _content(self, store: ScopedStore, kind: Kind, id_: str, body: Json) -> tuple[Json, list[str]]:
        """What is kept of a document's body, and the ids of the documents it refers to."""
        if len(json.dumps(body)) > _LARGEST:
            raise BodyTooLarge("The document would be larger than 1 MiB.")
        if kind is Kind.DESCRIPTOR:
            return _descriptor(body), []
        title = text(body, "title")
        if not title or not title.strip() or len(title) > _LONGEST_TITLE:
            raise BadSchema(f"title is {shown(title)}; send a text of 1 to {_LONGEST_TITLE} characters.")
        content: Json = {"type": "object", **{name: value for name, value in body.items() if name not in _OWNED}}
        if content["type"] != "object":
            raise BadSchema(f"type is {shown(content['type'])}; a document describes objects.")
        if kind is Kind.CLASS:
            content = _with_own_space(content, id_)
        xdm.check_fields(content)
        content = xdm.typed(content)
        links, extends = [], []
        for ref in dict.fromkeys(xdm.references(content)):
            if ref not in xdm.STANDARD:
                links.append(_find(store, ref).id)
        for part in content.get("allOf", ()):
            ref = part.get("$ref")
            if isinstance(ref, str) and not ref.startswith("#"):
                extends += [ref, *_lookup(store, ref).get("meta:extends", ())]
        content["meta:extends"] = list(dict.fromkeys(extends))
        if kind is Kind.SCHEMA:
            content["meta:class"] = _class_of(store, content)
        xdm.resolved({**content, "$id": _address(store.scope, kind, id_)}, lambda ref: _lookup(store, ref))
        return {**content, "version": "1.0"}, links

    def _in_form(self, caller: Caller, document: Json, form: xdm.Form, *, one: bool) -> Any:
        if form.link:
            return (
                f"/{document.get('meta:containerId', 'tenant')}/descriptors/{document.get('@id', document.get('$id'))}"
            )
        if "@id" in document:
            return document["@id"] if form.id else document
        if form.id:
            return _summary(document)
        store = self._store.scoped(caller)
        if form.full and one:
            document = xdm.resolved(document, lambda ref: _lookup(store, ref))
        if form.flat and one:
            document = xdm.flattened(document)
        if form.descriptors and one:
            every = (_shown(item) for item in _all(store, Kind.DESCRIPTOR))
            found = [about for about in every if about.get("xdm:sourceSchema") == document["$id"]]
            document = {**document, "meta:descriptors": found}
        bare: Json = document if form.text else xdm.without_text(document)
        return bare


def resolved_schema(store: ScopedStore, schema_id: str) -> Json:
    """The schema with this `$id` or `meta:altId`, with all it refers to. Raises SchemaNotFound, BadSchema."""
    return xdm.resolved(_shown(_get(store, Kind.SCHEMA, schema_id)), lambda ref: _lookup(store, ref))


def _kind(container: str, collection: str) -> Kind | None:
    """The kind of a collection's documents; None for behaviours. Raises RouteNotFound."""
    if container not in ("tenant", "global") or collection not in (*_KINDS, "behaviors"):
        raise RouteNotFound
    return _KINDS.get(collection)


def _own(container: str, collection: str) -> Kind:
    kind = _kind(container, collection)
    if kind is None or container == "global":
        raise SchemaReadOnly
    return kind


def _standard(collection: str) -> Iterable[Json]:
    return {"behaviors": xdm.BEHAVIORS, "classes": xdm.CLASSES}.get(collection, {}).values()


def _all(store: ScopedStore, kind: Kind) -> list[Resource]:
    found: list[Resource] = []
    after = None
    while True:
        page = store.list(kind, Query(limit=1000, after=after, order=Order(ascending=True)))
        found += page.items
        if (after := page.next) is None:
            return found


def _get(store: ScopedStore, kind: Kind, id_: str) -> Resource:
    """The document with this `$id`, `meta:altId`, or `@id`."""
    if any(id_ in (found["$id"], found["meta:altId"]) for found in xdm.STANDARD.values()):
        raise SchemaReadOnly
    last = id_.rpartition("/")[2] if id_.startswith("https://") else id_.rpartition(".")[2]
    if not re.fullmatch("[0-9a-f]{32}", last):
        raise _unknown(id_)
    try:
        found = store.get(kind, last)
    except NotFound as error:
        raise _unknown(id_) from error
    if kind is not Kind.DESCRIPTOR and id_ not in (
        last,
        address := _address(store.scope, kind, last),
        xdm.alt_id(address),
    ):
        raise _unknown(id_)
    return found


def _find(store: ScopedStore, ref: str) -> Resource:
    """The document of this sandbox that a `$ref` names. Raises BadSchema."""
    for kind, word in _WORDS.items():
        if ref.startswith(f"{xdm.NAMESPACE}/{tenant_id(store.scope)}/{word}/"):
            try:
                return _get(store, kind, ref)
            except SchemaNotFound:
                break
    raise BadSchema(f"`$ref` {ref[:200]!r} names no document of this registry.")


def _lookup(store: ScopedStore, ref: str) -> Mapping[str, Any]:
    return xdm.STANDARD[ref] if ref in xdm.STANDARD else _shown(_find(store, ref))


def _class_of(store: ScopedStore, content: Json) -> str:
    for part in content.get("allOf", ()):
        ref = str(part.get("$ref"))
        if ref in xdm.CLASSES or (ref not in xdm.STANDARD and "/classes/" in ref and _find(store, ref)):
            return ref
    raise BadSchema(f'`allOf` of a schema refers to a class, for instance {{"$ref": "{next(iter(xdm.CLASSES))}"}}.')


def _with_own_space(content: Json, id_: str) -> Json:
    """A class with the fields below `_adhoc`, if it is ad hoc, in a space of its own."""
    parts = content.get("allOf")
    if not isinstance(parts, list) or not any(isinstance(p, dict) and p.get("$ref") == xdm.ADHOC for p in parts):
        return content
    made = copy.deepcopy(content)
    for part in (made, *made["allOf"]):
        properties = part.get("properties") if isinstance(part, dict) else None
        if isinstance(properties, dict) and "_adhoc" in properties:
            properties[f"_{id_}"] = properties.pop("_adhoc")
    made["meta:datasetNamespace"] = f"_{id_}"
    return made


def _descriptor(body: Json) -> Json:
    for name in ("@type", "xdm:sourceSchema"):
        if not 0 < len(text(body, name) or "") <= _LONGEST_TITLE:
            raise BadSchema(f"{name} is missing, empty or too long; a descriptor says what it is of which schema.")
    return {name: value for name, value in body.items() if name != "@id" and name not in _OWNED}


def _appending(body: Json, operation: Json) -> Json:
    """An operation as it is meant: adding one object at a list appends it, as one client writes it."""
    path, value = operation.get("path"), operation.get("value")
    if isinstance(path, str) and isinstance(value, dict) and str(operation.get("op")).lower() == "add":
        at: Any = body
        for token in path[1:].split("/"):
            at = at.get(token) if isinstance(at, dict) else None
        if isinstance(at, list):
            return {**operation, "path": f"{path}/-"}
    return operation


def _address(scope: Scope, kind: Kind, id_: str) -> str:
    return f"{xdm.NAMESPACE}/{tenant_id(scope)}/{_WORDS[kind]}/{id_}"


def _shown(item: Resource) -> Json:
    """A document as the API shows it."""
    scope = item.scope
    audit = {
        "repo:createdDate": item.created_at,
        "repo:lastModifiedDate": item.updated_at,
        "xdm:createdClientId": item.created_client,
        "xdm:lastModifiedClientId": item.updated_client,
        "xdm:createdUserId": item.created_by,
        "xdm:lastModifiedUserId": item.updated_by,
        "eTag": item.etag.strip('"'),
    }
    common = {
        "imsOrg": scope.org_id,
        "meta:containerId": "tenant",
        "meta:sandboxId": scope.sandbox_id,
        "meta:registryMetadata": audit,
    }
    if item.kind is Kind.DESCRIPTOR:
        return {"@id": item.id, **item.body, "version": "1", **common}
    id_ = _address(scope, item.kind, item.id)
    return {
        "$id": id_,
        "meta:altId": xdm.alt_id(id_),
        "meta:resourceType": _WORDS[item.kind],
        "meta:extensible": item.kind is not Kind.SCHEMA,
        "meta:abstract": item.kind is not Kind.SCHEMA,
        **item.body,
        "meta:xdmType": "object",
        "meta:tenantNamespace": f"_{tenant_id(scope)}",
        **common,
    }


def _summary(document: Json) -> Json:
    return {name: document[name] for name in ("title", "$id", "meta:altId", "version")}


def _unknown(id_: str) -> SchemaNotFound:
    return SchemaNotFound(f"No document {shown(id_)} is in this sandbox's schema registry.", id=id_[:200])


def _parts(given: str) -> list[str]:
    """The conditions in one `property`: a comma begins another one when an operator follows before the next."""
    parts: list[str] = []
    for piece in given.split(","):
        if parts and not any(operator in piece for operator in ("==", "!=", "~")):
            parts[-1] += f",{piece}"
        else:
            parts.append(piece)
    return parts


def _condition(text_: str) -> tuple[str, str, str]:
    for operator in ("==", "!="):
        name, found, value = text_.partition(operator)
        if found:
            return name, operator, value
    if "~" in text_:
        raise UnknownOperator(f"property={text_[:80]!r} matches patterns, which is not possible. Use == or !=.")
    return text_, "", ""


def _holds(document: Json, name: str, operator: str, value: str) -> bool:
    held = document.get(name)
    if not operator:
        return held is not None
    values = held if isinstance(held, list) else [held]
    same = value in [str(item).lower() if isinstance(item, bool) else str(item) for item in values if item is not None]
    return same == (operator == "==")


def _place(document: Json, order: str) -> tuple[int, str]:
    audit = document.get("meta:registryMetadata", {})
    dates = {"updated": "repo:lastModifiedDate", "created": "repo:createdDate"}
    if order in dates:
        return int(audit.get(dates[order], 0)), ""
    value = document.get(order)
    if value is not None and not isinstance(value, str):
        raise BadFilterValue(f"orderby names {order[:40]!r}, which cannot be sorted by.")
    return 0, value or ""
