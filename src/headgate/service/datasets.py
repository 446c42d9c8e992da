"""Datasets: the tables of the lake, as the Catalog shows them."""

import hashlib
import re
import secrets
from collections.abc import Callable, Sequence
from contextlib import suppress

from headgate.errors import (
    BadParameter,
    DatasetInUse,
    DatasetNotFound,
    HeadgateError,
    NotFound,
    ResourceBusy,
    VersionConflict,
)
from headgate.model.catalog import Grammar, Member
from headgate.model.observable import observable_schema
from headgate.model.patch import apply, parse_patch
from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service import catalog_wire
from headgate.service.bodies import optional_object, required_name, shown
from headgate.service.dataset_body import WRITABLE, dataset_content, lenient, merged, sql_name
from headgate.service.paging import Parameters
from headgate.service.resources import new_resource, touched
from headgate.store import CatalogStore, InUse, NameTaken, Store
from headgate.targets import Lake, TableStates
from headgate.telemetry import emit

__all__ = ["Datasets", "dataset_of"]

_TRIES = 10  # how often a change is made again because another one came between
_GRAMMAR = Grammar(
    members={
        "id": Member("id"),
        "name": Member("body.name", wildcards=True),
        "description": Member("body.description"),
        "state": Member("state", folded=True),
        "version": Member("body.version"),
        "created": Member("created_at", "number"),
        "updated": Member("updated_at", "number"),
        "createdUser": Member("created_by"),
        "updatedUser": Member("updated_by"),
        "createdClient": Member("created_client"),
        "updatedClient": Member("updated_client"),
        "imsOrg": Member("org_id"),
        "sandboxId": Member("sandbox_id"),
        "schemaRef": Member("body.schemaRef", "object"),
        "schemaRef.id": Member("body.schemaRef.id"),
        "tags": Member("body.tags", "object"),
        "fileDescription": Member("body.fileDescription", "object"),
        "classification": Member("body.classification", "object"),
        "extensions": Member("body.extensions", "object"),
        "unifiedTags": Member("body.unifiedTags", "object"),
        "systemLabels": Member("body.systemLabels", "object"),
    },
    aliases={},
    ignored=frozenset({"requestDataSource"}),
)


class Datasets:
    """The datasets of a sandbox. The stored name of one is its SQL name, which is unique there."""

    def __init__(self, store: Store, lake: Lake) -> None:
        self._store = store
        self._lake = lake
        self._states = TableStates(lake)

    def create(self, caller: Caller, body: Json) -> str:
        """Make a dataset and give its id. Its table takes its columns from the first run.

        Raises ParameterMissing, BadParameter.
        """
        store = self._store.catalog(caller)
        stem, number = sql_name(required_name(body)), 0
        while True:
            number += 1
            name = stem if number == 1 else f"{stem}_{number}"
            identifier = (_slug(caller.scope.org_id), caller.scope.sandbox_name, name)
            # A table may be left of a dataset whose deletion was cut off: its rows are nobody's.
            if store.find(Kind.DATASET, name) is not None or self._lake.find(identifier) is not None:
                continue
            resource = new_resource(
                Kind.DATASET,
                caller,
                name,
                {**dataset_content(body, name), "version": "1.0.0"},
                id_=secrets.token_hex(12),
                frozen={"table": list(identifier)},
            )
            with suppress(NameTaken):  # another request took it since it was looked up; try the next one
                store.add(resource)
                return resource.id

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """`{id: dataset}` of one page, newest first. Raises InvalidRequest."""
        query = _GRAMMAR.read(parameters)
        store = self._store.catalog(caller)
        return self._shown(store, store.datasets(query), query.properties)

    def get(self, caller: Caller, id_: str, parameters: Parameters = ()) -> Json:
        """`{id: dataset}`. Raises DatasetNotFound, InvalidRequest."""
        query = catalog_wire.SINGLE.read(parameters)
        store = self._store.catalog(caller)
        return self._shown(store, (dataset_of(store, id_),), query.properties)

    def change(self, caller: Caller, id_: str, changes: Sequence[Json]) -> None:
        """Change a dataset by JSON Patch operations, or by one object that is merged into it.

        Raises DatasetNotFound, ParameterMissing, BadParameter, and what a patch can be refused for.
        """
        if len(changes) == 1 and "op" not in changes[0]:
            self._rewrite(caller, id_, lambda before: merged(before, changes[0]))
        else:
            operations = tuple(lenient(operation) for operation in parse_patch(changes))
            self._rewrite(caller, id_, lambda before: apply(before, operations))

    def replace(self, caller: Caller, id_: str, body: Json) -> None:
        """Replace all that can be changed of a dataset. Raises DatasetNotFound, ParameterMissing, BadParameter."""
        self._rewrite(caller, id_, lambda _before: body)

    def extend(self, caller: Caller, id_: str, body: Json) -> None:
        """Merge `body["extensions"]` into a dataset's, such as the time its rows are to be kept.

        Raises DatasetNotFound, BadParameter.
        """
        extensions = optional_object(body, "extensions")
        if not extensions:
            raise BadParameter("extensions is missing or empty.", parameter="extensions")
        self._rewrite(caller, id_, lambda before: merged(before, {"extensions": extensions}))

    def delete(self, caller: Caller, id_: str) -> None:
        """Remove a dataset that no flow writes to, with its table and all its rows.

        Raises DatasetNotFound, DatasetInUse.
        """
        store = self._store.catalog(caller)
        dataset = dataset_of(store, id_)
        try:
            store.delete(Kind.DATASET, id_, unless_used_by=Kind.FLOW)
        except InUse as error:
            flows = ", ".join(error.users[:3])
            raise DatasetInUse(
                f"The dataset {id_} is the target of the flow {flows}. Delete the flow first."
            ) from error
        except NotFound as error:
            raise _not_found(id_) from error
        table = tuple(dataset.frozen["table"])
        try:
            self._lake.drop(table)
        except HeadgateError as error:  # the dataset is gone all the same, and its table's name is not given again
            emit("dataset.table_left", level="error", dataset=id_, table=".".join(table), reason=error.detail)

    # -- inside ----------------------------------------------------------------------------------

    def _rewrite(self, caller: Caller, id_: str, changed: Callable[[Json], Json]) -> None:
        store = self._store.catalog(caller)
        for _ in range(_TRIES):
            before = dataset_of(store, id_)
            written = {name: value for name, value in before.body.items() if name in WRITABLE}
            content = dataset_content(changed(written), before.name)
            version = _next_version(before.body.get("version", "1.0.0"))
            after = before.evolve(body={**content, "version": version})
            try:
                store.update(touched(after, caller), etag=before.etag)
            except VersionConflict:  # another change came between: make this one on top of it
                continue
            except NotFound as error:
                raise _not_found(id_) from error
            return
        raise ResourceBusy(id=id_)

    def _shown(self, store: CatalogStore, items: Sequence[Resource], properties: tuple[str, ...]) -> Json:
        ids = [item.id for item in items]
        last, good = store.last_batches(ids), store.last_batches(ids, succeeded=True)
        found: Json = {}
        for item in items:
            shape = catalog_wire.dataset(item, last.get(item.id), good.get(item.id))
            if not properties or "extensions" in properties:
                shape |= self._extensions(item)
            if "observableSchema" in properties:
                table = self._lake.find(tuple(item.frozen["table"]))
                shape["observableSchema"] = observable_schema(table.columns if table else ())
            found[item.id] = {name: shape[name] for name in properties if name in shape} if properties else shape
        return found

    def _extensions(self, item: Resource) -> Json:
        """`extensions`: what was stored of them, with what the table holds and where it is."""
        stored: Json = item.body.get("extensions", {})
        state = self._states.of(tuple(item.frozen["table"]))
        if state is None:
            return {"extensions": stored} if stored else {}
        house = {
            **stored.get("adobe_lakeHouse", {}),
            "metrics": {"rowCount": state.rows, "storageSize": state.size},
            "tableHealthMetrics": {"noOfFilesTotal": state.files},
        }
        lake = {"location": str(state.location), "format": "iceberg", "metadataFile": str(state.metadata_file)}
        if state.snapshot_id is not None:
            lake["snapshotId"] = str(state.snapshot_id)
        return {"extensions": {**stored, "adobe_lakeHouse": house, "lake": lake}}


def dataset_of(store: CatalogStore, id_: str) -> Resource:
    """The dataset with this id. Raises DatasetNotFound."""
    if not re.fullmatch(r"[0-9a-f]{24}", id_):
        raise _not_found(id_)
    try:
        return store.get(Kind.DATASET, id_)
    except NotFound as error:
        raise _not_found(id_) from error


def _not_found(id_: str) -> DatasetNotFound:
    return DatasetNotFound(f"No dataset {shown(id_)} exists in this sandbox.", id=id_[:80])


def _slug(org_id: str) -> str:
    """The organisation's namespace in the lake: readable, and no other organisation's."""
    readable = re.sub(r"[^a-z0-9]", "_", org_id.partition("@")[0].lower())
    return f"{readable}_{hashlib.sha256(org_id.encode()).hexdigest()[:8]}"


def _next_version(version: str) -> str:
    *front, last = version.split(".")
    return ".".join((*front, str(int(last) + 1)))
