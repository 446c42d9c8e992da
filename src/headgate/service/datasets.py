"""Datasets: the tables of the lake, as the Catalog shows them."""

import hashlib
import re
import secrets
from contextlib import suppress
from dataclasses import replace

from headgate.errors import BadFilterValue, BadParameter, DatasetNotFound, NotFound
from headgate.model.query import Field, Order, Query, parse_query
from headgate.model.resources import Kind
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service import wire
from headgate.service.bodies import kept, optional_object, required_name, shown
from headgate.service.paging import Parameters, known_parameters, projected
from headgate.service.resources import new_resource
from headgate.store import NameTaken, Store

__all__ = ["Datasets", "sql_name"]

_LISTING = ("limit", "start", "orderBy", "properties", "name", "property", "requestDataSource")
_DEFAULT_LIMIT, _MAX_LIMIT = 20, 100
_TABLE_TAG = "adobe/pqs/table"
_RESERVED = frozenset(  # DuckDB takes none of these for the name of a table
    """
    all analyse analyze and anti any array as asc asof asymmetric at authorization binary both by
    case cast check collate collation column columns concurrently constraint create cross default
    deferrable desc describe distinct do else end except false fetch for foreign freeze from full
    generated glob group having ilike in initially inner intersect into is isnull join lambda
    lateral leading left like limit map natural not notnull null offset on only or order outer
    overlaps pivot pivot_longer pivot_wider placing positional primary qualify references returning
    right select semi show similar some struct summarize symmetric table tablesample then to
    trailing true try_cast union unique unpack unpivot using variadic verbose when where window with
    """.split()  # noqa: SIM905
)
_FIELDS = {
    "id": Field("id"),
    "name": Field("body.name"),
    "created": Field("created_at", number=True),
    "updated": Field("updated_at", number=True),
}


class Datasets:
    """The datasets of a sandbox. The stored name of one is its SQL name, which is unique there."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def create(self, caller: Caller, body: Json) -> str:
        """Make a dataset and give its id. Its table takes its columns from the first run.

        Raises ParameterMissing, BadParameter.
        """
        name = required_name(body)
        store = self._store.scoped(caller)
        stem, number = sql_name(name), 0
        while True:
            number += 1
            table = stem if number == 1 else f"{stem}_{number}"
            if store.find(Kind.DATASET, table) is not None:
                continue
            resource = new_resource(
                Kind.DATASET,
                caller,
                table,
                _content(body, table),
                id_=secrets.token_hex(12),
                frozen={"table": [_slug(caller.scope.org_id), caller.scope.sandbox_name, table]},
            )
            with suppress(NameTaken):  # another request took it since it was looked up; try the next one
                store.add(resource)
                return resource.id

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """`{id: dataset}` of one page, newest first. Raises InvalidRequest."""
        query = _query(parameters)
        page = self._store.scoped(caller).list(Kind.DATASET, query)
        return {item.id: _chosen(wire.dataset(item), query.projection) for item in page.items}

    def get(self, caller: Caller, id_: str, parameters: Parameters = ()) -> Json:
        """`{id: dataset}`. Raises DatasetNotFound."""
        _, single = known_parameters(parameters, ("properties", "requestDataSource"))
        names = tuple(filter(None, single.get("properties", "").split(",")))
        try:
            item = self._store.scoped(caller).get(Kind.DATASET, _check_id(id_))
        except NotFound as error:
            raise DatasetNotFound(f"No dataset {shown(id_)} exists in this sandbox.", id=id_[:80]) from error
        return {id_: _chosen(wire.dataset(item), names)}


def sql_name(name: str) -> str:
    """A table name made of `name` that SQL needs not quote: small letters, digits and `_`."""
    words = re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")[:100].rstrip("_")
    if not words or words[0].isdigit() or words in _RESERVED:
        return f"t_{words}".rstrip("_")
    return words


def _check_id(id_: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{24}", id_):
        raise NotFound
    return id_


def _slug(org_id: str) -> str:
    """The organisation's namespace in the lake: readable, and no other organisation's."""
    readable = re.sub(r"[^a-z0-9]", "_", org_id.partition("@")[0].lower())
    return f"{readable}_{hashlib.sha256(org_id.encode()).hexdigest()[:8]}"


def _content(body: Json, table: str) -> Json:
    tags = optional_object(body, "tags")
    for tag, values in tags.items():
        if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
            raise BadParameter(f"tags[{shown(tag)}] is {shown(values)}; send a list of texts.", parameter="tags")
    return {
        **kept(body, "name", "description", "schemaRef", "enableErrorDiagnostics", "unifiedTags"),
        "fileDescription": {
            "persisted": True,
            "containerFormat": "parquet",
            "format": "parquet",
            **optional_object(body, "fileDescription"),
        },
        # The server's own tags win: they say under which name the table can be queried.
        "tags": {**tags, _TABLE_TAG: [table], "adobe/siphon/table/format": ["iceberg"]},
        "classification": {"dataBehavior": "record", "managedBy": "CUSTOMER"},
    }


def _query(parameters: Parameters) -> Query:
    properties, single = known_parameters(parameters, _LISTING)
    if name := single.get("name"):
        operator, value = ("!=", name[1:]) if name[0] == "!" else ("==", name)
        properties = (*properties, f"name{operator}{value}")
    order = single.get("orderBy", "desc:created")
    if order not in ("desc:created", "asc:created", "created"):
        raise BadFilterValue(f"orderBy is {order[:40]!r}; send asc:created or desc:created.")
    return replace(
        parse_query(properties, _FIELDS, limit=_whole(single, "limit", _DEFAULT_LIMIT, 1, _MAX_LIMIT)),
        order=Order(ascending=order != "desc:created"),
        offset=_whole(single, "start", 0, 0, 10**9),
        projection=tuple(filter(None, single.get("properties", "").split(","))),
    )


def _whole(single: dict[str, str], name: str, default: int, least: int, most: int) -> int:
    text = single.get(name)
    if text is None:
        return default
    if not re.fullmatch(r"[0-9]{1,10}", text) or not least <= int(text) <= most:
        raise BadFilterValue(f"{name} is {text[:40]!r}; send a number from {least} to {most}.")
    return int(text)


def _chosen(item: Json, names: tuple[str, ...]) -> Json:
    [chosen] = projected([item], names)
    return chosen
