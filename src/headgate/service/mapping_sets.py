"""Data preparation: mapping sets, their versions, and trying them out."""

import json
import re
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from headgate.errors import (
    BadFilterValue,
    BadMapping,
    BadParameter,
    BodyTooLarge,
    MappingSetNotFound,
    NotFound,
    ResourceBusy,
    SchemaNotFound,
    SchemasDiffer,
    UnknownMappingVersion,
    UsedByFlow,
    VersionConflict,
)
from headgate.mapping import Rule, Shape, Unmappable, check, preview, rule_of, shape_of, unmapped
from headgate.model.query import Field, Filter, Order, Query, whole_number
from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.bodies import kept, optional_object, shown, text
from headgate.service.paging import Parameters, known_parameters, truth
from headgate.service.registry import resolved_schema
from headgate.service.resources import new_resource, touched
from headgate.store import InUse, ScopedStore, Store

__all__ = ["MappingSets", "frozen_mapping"]

_MOST_MAPPINGS, _MOST_VERSIONS, _MOST_RECORDS = 1000, 200, 100
_MOST_SETS, _LONGEST_NAME, _LARGEST, _TRIES = 1000, 1000, 1024 * 1024, 5
_CONTENT_TYPE = "application/vnd.adobe.xed-full+json;version=1"
_ORDERS = {"createdDate": Field("created_at", number=True), "modifiedDate": Field("updated_at", number=True)}


class MappingSets:
    """The mapping sets of a sandbox. Every change makes a new version; the older ones stay readable."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, caller: Caller, body: Json, parameters: Parameters = ()) -> Json:
        """Make a mapping set; with `validate=true` only if each mapping can be carried out. Its id and dates.

        Raises BadMapping, BadParameter.
        """
        _, single = known_parameters(parameters, ("validate",))
        store = self._store.scoped(caller)
        content = _content(store, body, validate=truth(single.get("validate"), "validate"))
        made = new_resource(
            Kind.MAPPING_SET, caller, str(content.get("name", "")), {**content, "version": 0}, id_=uuid.uuid4().hex
        )
        store.add(made)
        whole = _shown(made)
        names = ("id", "version", "createdDate", "modifiedDate", "createdBy", "modifiedBy")
        return {name: whole[name] for name in names}

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of mapping sets, newest first. Raises InvalidRequest."""
        properties, single = known_parameters(
            parameters, ("limit", "start", "name", "orderBy", "expandSchema", "property")
        )
        filters = []
        if name := single.get("name"):
            filters.append(Filter(Field("name"), "==", (name,)))
        for given in properties:
            field, operator, value = given.partition("==")
            if field != "xdmSchema" or not operator:
                raise BadFilterValue(f"property is {given[:80]!r}; send xdmSchema==<id of a schema>.")
            filters.append(Filter(Field("body.outputSchema.schemaRef.id"), "==", (value,)))
        limit = min(whole_number("limit", single.get("limit", "100"), 1), _MOST_SETS)
        query = Query(filters=tuple(filters), limit=limit, order=_order(single.get("orderBy")))
        store = self._store.scoped(caller)
        page = store.list(Kind.MAPPING_SET, replace(query, offset=whole_number("start", single.get("start", "0"))))
        expanded = truth(single.get("expandSchema"), "expandSchema")
        data = [_expanded(store, _shown(item)) if expanded else _shown(item) for item in page.items]
        return {"data": data, "_page": {"count": len(data), "limit": limit}, "_links": {}}

    def get(self, caller: Caller, id_: str, parameters: Parameters = ()) -> Json:
        """The mapping set, in the version asked for or its newest. Raises MappingSetNotFound, BadParameter."""
        _, single = known_parameters(parameters, ("version", "expandSchema"))
        store = self._store.scoped(caller)
        found = _get(store, id_)
        whole = _shown(found)
        if (asked := single.get("version")) is not None:
            version = _version(found, whole_number("version", asked))
            if version is None:
                raise MappingSetNotFound(f"The mapping set {id_} has no version {shown(asked)}.", id=id_[:80])
            whole |= version
        return _expanded(store, whole) if truth(single.get("expandSchema"), "expandSchema") else whole

    def replace(self, caller: Caller, id_: str, body: Json) -> Json:
        """Put other mappings in place of a set's, as its next version; the whole set. Raises as `create()`."""
        return self._change(caller, id_, lambda _: body)

    def delete(self, caller: Caller, id_: str) -> None:
        """Remove a mapping set that no flow uses. Raises MappingSetNotFound, UsedByFlow."""
        store = self._store.scoped(caller)
        found = _get(store, id_)
        try:
            store.delete(Kind.MAPPING_SET, found.id, unless_used_by=Kind.FLOW)
        except InUse as error:
            raise UsedByFlow(
                f"The mapping set {found.id} is used by the flow {', '.join(error.users[:3])}.", id=found.id
            ) from error

    # -- single mappings -------------------------------------------------------------------------

    def mappings(self, caller: Caller, id_: str) -> list[Json]:
        """The mappings of a set. Raises MappingSetNotFound."""
        found: list[Json] = _get(self._store.scoped(caller), id_).body["mappings"]
        return found

    def mapping(self, caller: Caller, id_: str, mapping_id: str) -> Json:
        """One of them. Raises MappingSetNotFound."""
        mappings = self.mappings(caller, id_)
        return mappings[_at(mappings, mapping_id)]

    def add_mapping(self, caller: Caller, id_: str, body: Json) -> Json:
        """Add a mapping to a set. Raises as `replace()`."""
        changed = self._change(caller, id_, lambda held: {**held, "mappings": [*held["mappings"], _without_id(body)]})
        added: Json = changed["mappings"][-1]
        return added

    def replace_mapping(self, caller: Caller, id_: str, mapping_id: str, body: Json) -> Json:
        """Put another mapping in place of one. Raises as `replace()`."""

        def changed(held: Json) -> Json:
            mappings = list(held["mappings"])
            mappings[_at(mappings, mapping_id)] = {**body, "id": mapping_id}
            return {**held, "mappings": mappings}

        mappings: list[Json] = self._change(caller, id_, changed)["mappings"]
        return mappings[_at(mappings, mapping_id)]

    def delete_mapping(self, caller: Caller, id_: str, mapping_id: str) -> None:
        """Take a mapping out of a set. Raises as `replace()`."""

        def changed(held: Json) -> Json:
            mappings = list(held["mappings"])
            del mappings[_at(mappings, mapping_id)]
            return {**held, "mappings": mappings}

        self._change(caller, id_, changed)

    # -- trying out ------------------------------------------------------------------------------

    def validate(self, caller: Caller, body: Json) -> Json:
        """What is wrong with each mapping of the set in `body`, which is not stored."""
        store = self._store.scoped(caller)
        mappings = _listed(body)
        shape = _shape(store, _output_schema(body))
        rules: list[Rule | None] = []
        reasons: list[str | None] = []
        for mapping in mappings:
            try:
                rules.append(rule_of(mapping))
                reasons.append(None)
            except Unmappable as error:
                rules.append(None)
                reasons.append(error.reason)
        checked = iter(check([rule for rule in rules if rule is not None], shape))
        reasons = [reason if rule is None else next(checked) for rule, reason in zip(rules, reasons, strict=True)]
        response = [
            {"status": "FAILED", "errors": [_problem(mapping, reason)]}
            if reason
            else {"status": "SUCCESS", "errors": None}
            for mapping, reason in zip(mappings, reasons, strict=True)
        ]
        return {"validationResponse": response}

    def preview(self, caller: Caller, body: Json) -> Json:
        """What the set in `body.mappingSet` makes of `body.data`, a record or a list of them; nothing is stored."""
        data, about = body.get("data"), optional_object(body, "mappingSet")
        records: list[Any] = data if isinstance(data, list) else [data]
        if not records or not all(isinstance(record, dict) for record in records):
            what = shown(data) if "data" in body else "missing"
            raise BadParameter(f"data is {what}; send an object, or a list of them.", parameter="data")
        if len(records) > _MOST_RECORDS:
            raise BadParameter(f"data holds {len(records)} records; {_MOST_RECORDS} are allowed.", parameter="data")
        store = self._store.scoped(caller)
        content = _content(store, about)
        given = {rule_of(mapping): mapping for mapping in content["mappings"]}
        try:
            made = preview(list(given), records, _shape(store, content.get("outputSchema")))
        except Unmappable as error:
            raise BadParameter(f"data: {error.reason}", parameter="data") from error
        errors = [_problem(given[rule], reason) for rule, reason in made.failed]
        return {"data": made.records if isinstance(data, list) else made.records[0], "errors": errors}

    def understands(self, body: Json) -> bool:
        """Whether the expression in `body` can be carried out here. Raises BadParameter."""
        expression = text(body, "expression")
        if not expression:
            raise BadParameter("expression is missing or empty.", parameter="expression")
        [reason] = check([rule_of({"sourceType": "EXPRESSION", "source": expression, "destination": "x"})])
        return reason is None

    # -- inside ----------------------------------------------------------------------------------

    def _change(self, caller: Caller, id_: str, changed: Any) -> Json:
        """Store what `changed` makes of a set's body as its next version."""
        store = self._store.scoped(caller)
        for _ in range(_TRIES):
            found = _get(store, id_)
            older = [*found.frozen.get("versions", ()), found.body]
            if len(older) > _MOST_VERSIONS or len(json.dumps(older)) > 8 * _LARGEST:
                raise BadMapping(f"The mapping set has {len(older)} versions already. Make a new one.", id=found.id)
            content = _content(store, changed(found.body))
            after = found.evolve(
                name=str(content.get("name", found.name)),
                body={**kept(found.body, "name"), **content, "version": found.body["version"] + 1},
                frozen={"versions": older},
            )
            after = touched(after, caller)
            try:
                store.update(after, etag=found.etag)
            except VersionConflict:  # somebody else's change came first: this one comes on top of it
                continue
            return _shown(after)
        raise ResourceBusy(id=id_[:80])


def frozen_mapping(store: ScopedStore, params: Json, dataset: Resource) -> Json:
    """The mapping set that the params of a `Mapping` transformation name, as a flow into `dataset` keeps it.

    Raises BadMapping, UnknownMappingVersion, SchemasDiffer.
    """
    id_ = text(params, "mappingId", where="transformations[].params.")
    if not id_:
        raise BadMapping("transformations[].params.mappingId is missing or empty; send the id of a mapping set.")
    try:
        found = _get(store, id_)
    except NotFound as error:
        raise BadMapping(f"No mapping set {shown(id_)} exists in this sandbox.", id=id_[:80]) from error
    asked = params.get("mappingVersion")
    content: Json | None = found.body
    if asked is not None:
        whole = str(asked) if isinstance(asked, int | str) and not isinstance(asked, bool) else ""
        content = _version(found, int(whole)) if whole.isascii() and whole.isdigit() and len(whole) < 10 else None
    if content is None:
        raise UnknownMappingVersion(
            f"The mapping set {id_} has no version {shown(asked)}; its newest is {found.body['version']}.", id=id_[:80]
        )
    own, its = content.get("outputSchema"), dataset.body.get("schemaRef")
    if own and its and not _same(own["schemaRef"].get("id"), its.get("id")):
        raise SchemasDiffer(
            f"The dataset {dataset.id} has the schema {its.get('id')}, the mapping set {own['schemaRef'].get('id')}.",
            id=dataset.id,
        )
    schema = _schema(store, own) if own else _schema_of(store, dataset)
    rules = [rule_of(mapping) for mapping in content["mappings"]]
    shape = shape_of(schema or {})
    if not rules:
        raise BadMapping(f"The mapping set {id_} has no mappings, so no column would land.", id=id_[:80])
    for rule, reason in zip(rules, check(rules, shape), strict=True):
        if reason is not None:
            raise BadMapping(str(Unmappable(reason, rule)), id=id_[:80])
    if lacking := unmapped(rules, shape):
        raise BadMapping(f"The schema requires {lacking!r}, which no mapping gives.", id=id_[:80])
    return {
        "id": found.id,
        "version": content["version"],
        "mappings": [
            {"sourceType": rule.type, "source": rule.source, "destination": rule.destination} for rule in rules
        ],
        "schema": _pruned(schema, [rule.destination_path for rule in rules]) if schema else None,
    }


def _content(store: ScopedStore, body: Json, *, validate: bool = False) -> Json:
    """A set's body in the one shape it is kept in. Raises BadMapping, BadParameter."""
    content = kept(body, "name", "description", "inputSchema", "allowNullValues")
    if len(text(content, "name") or "") > _LONGEST_NAME:
        raise BadParameter(f"name is longer than {_LONGEST_NAME} characters.", parameter="name")
    output = _output_schema(body)
    shape = _shape(store, output)
    if output is not None:
        content["outputSchema"] = output
    mappings, rules = [], []
    seen: dict[object, Rule] = {}
    for given in _listed(body):
        try:
            rule = rule_of(given)
            other = seen.setdefault(rule.destination_path, rule)
        except Unmappable as error:
            raise BadMapping(str(error)) from error
        if other is not rule:
            raise BadMapping(
                f"The destination {rule.destination!r} has two mappings, from {other.source!r} and {rule.source!r}."
            )
        rules.append(rule)
        own = given.get("id")
        mappings.append(
            {
                "id": own if isinstance(own, str) and 0 < len(own) <= 64 else uuid.uuid4().hex,
                "version": 0,
                "sourceType": rule.type.value,
                "source": rule.source,
                "destination": rule.destination,
                **kept(given, "name", "description", "functionVersion", "expressionAttributes", "identity"),
            }
        )
    if validate:
        for rule, reason in zip(rules, check(rules, shape), strict=True):
            if reason is not None:
                raise BadMapping(str(Unmappable(reason, rule)))
    content["mappings"] = mappings
    if len(json.dumps(content)) > _LARGEST:
        raise BodyTooLarge("The mapping set would be larger than 1 MiB.")
    return content


def _listed(body: Json) -> list[Json]:
    mappings = body.get("mappings")
    if not isinstance(mappings, list) or not all(isinstance(mapping, dict) for mapping in mappings):
        raise BadParameter(f"mappings is {shown(mappings)}; send a list of objects.", parameter="mappings")
    if len(mappings) > _MOST_MAPPINGS:
        raise BadParameter(
            f"mappings holds {len(mappings)} mappings; {_MOST_MAPPINGS} are allowed.", parameter="mappings"
        )
    return mappings


def _output_schema(body: Json) -> Json | None:
    """`outputSchema`, or the older `xdmSchema`; None when the set names no schema. Raises BadParameter."""
    if older := text(body, "xdmSchema"):
        return {"schemaRef": {"id": older, "contentType": _CONTENT_TYPE}}
    output = optional_object(body, "outputSchema")
    if not output:
        return None
    ref = optional_object(output, "schemaRef")
    id_ = text(ref, "id", where="outputSchema.schemaRef.")
    if not id_:
        raise BadParameter("outputSchema.schemaRef.id is missing or empty.", parameter="outputSchema.schemaRef.id")
    return {"schemaRef": {"id": id_, "contentType": text(ref, "contentType") or _CONTENT_TYPE}}


def _schema(store: ScopedStore, output: Json | None) -> Json | None:
    if output is None:
        return None
    id_ = str(output["schemaRef"].get("id"))
    try:
        return resolved_schema(store, id_)
    except SchemaNotFound as error:
        raise BadMapping(f"The schema {shown(id_)} is not in this sandbox's schema registry.", id=id_[:200]) from error


def _schema_of(store: ScopedStore, dataset: Resource) -> Json | None:
    """The dataset's schema; None when it names none, or one that is kept elsewhere."""
    id_ = (dataset.body.get("schemaRef") or {}).get("id")
    try:
        return resolved_schema(store, str(id_)) if id_ else None
    except SchemaNotFound:
        return None


def _shape(store: ScopedStore, output: Json | None) -> Shape:
    return shape_of(_schema(store, output) or {})


def _pruned(schema: Mapping[str, Any], paths: Sequence[tuple[Any, ...]]) -> Json:
    """What of a resolved schema values are checked by: the fields on the ways of `paths`, and required ones."""
    names = ("type", "format", "enum", "required", "meta:xdmType", "meta:sourceType", "additionalProperties")
    made: Json = {name: schema[name] for name in names if name in schema}
    whole = () in paths
    if isinstance(properties := schema.get("properties"), Mapping):
        made["properties"] = {
            name: _pruned(field, [()] if whole else [path[1:] for path in paths if path[0] == name])
            for name, field in properties.items()
            if whole or name in schema.get("required", ()) or any(path[0] == name for path in paths)
        }
    if isinstance(items := schema.get("items"), Mapping):
        made["items"] = _pruned(items, [()] if whole else [path[1:] for path in paths])
    return made


def _get(store: ScopedStore, id_: str) -> Resource:
    missing = MappingSetNotFound(f"No mapping set {shown(id_)} exists in this sandbox.", id=id_[:80])
    if not re.fullmatch("[0-9a-f]{32}", id_):
        raise missing
    try:
        return store.get(Kind.MAPPING_SET, id_)
    except NotFound as error:
        raise missing from error


def _version(found: Resource, number: int) -> Json | None:
    every: list[Json] = [*found.frozen.get("versions", ()), found.body]
    return next((content for content in every if content["version"] == number), None)


def _same(one: object, other: object) -> bool:
    """Whether two ids, `$id` or `meta:altId`, name the same schema: their last parts are unique."""
    return str(one).replace(".", "/").rpartition("/")[2] == str(other).replace(".", "/").rpartition("/")[2]


def _at(mappings: Sequence[Json], id_: str) -> int:
    for index, mapping in enumerate(mappings):
        if mapping["id"] == id_:
            return index
    raise MappingSetNotFound(f"The mapping set has no mapping {shown(id_)}.", id=id_[:80])


def _without_id(mapping: Json) -> Json:
    return {name: value for name, value in mapping.items() if name != "id"}


def _shown(item: Resource) -> Json:
    return {
        "id": item.id,
        **item.body,
        "createdDate": item.created_at,
        "modifiedDate": item.updated_at,
        "createdBy": item.created_by,
        "modifiedBy": item.updated_by,
        "imsOrgId": item.scope.org_id,
        "sandboxId": item.scope.sandbox_id,
    }


def _expanded(store: ScopedStore, whole: Json) -> Json:
    output = whole.get("outputSchema")
    return {**whole, "outputSchema": {**output, "schema": _schema(store, output)}} if output else whole


def _problem(mapping: Json, reason: str) -> Json:
    older = {"source": "sourceAttribute", "destination": "destinationXdmPath"}
    source, destination = (mapping.get(name, mapping.get(other)) for name, other in older.items())
    return {
        "source": source,
        "destination": destination,
        "sourceType": mapping.get("sourceType", "ATTRIBUTE"),
        "columnName": destination,
        "exception": reason,
    }


def _order(given: str | None) -> Order:
    direction, _, name = (given or "desc:createdDate").rpartition(":")
    if name not in _ORDERS or direction not in ("", "asc", "desc"):
        raise BadFilterValue(f"orderBy is {str(given)[:40]!r}; send asc: or desc: and createdDate or modifiedDate.")
    return Order(_ORDERS[name], ascending=direction != "desc")
