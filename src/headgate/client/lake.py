"""What flows write into: datasets and their batches; and what stands beside: schemas, mapping sets, sandboxes."""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.client import shapes
from headgate.client.asking import D, Group, call, only, operations, pages
from headgate.client.shapes import Changes, Id, Json
from headgate.client.steps import Page, Steps
from headgate.model.addresses import CATALOG, CONVERSION, EXPORT, HEADGATE, IMPORT, REGISTRY, SANDBOXES

__all__ = ["Batches", "Datasets", "MappingSets", "Sandboxes", "Schemas"]

_TABLES = f"{HEADGATE}/datasets"
_FEW = 5  # datasets of one name that an error names


class Datasets(Group[D]):
    """The tables of the lake."""

    _path = f"{CATALOG}/dataSets"

    @pages
    def list(self, /, *, limit: int | None = None, **members: str) -> Steps[Page[shapes.Dataset]]:
        """Those whose members are as given (`name="orders"`), newest first, at most `limit`."""
        return (yield from self._by_offset(_with_ids, members, limit))

    @call
    def get(self, id: Id) -> Steps[shapes.Dataset]:
        """The one with this id. Raises NotFound."""
        return (yield from self._get(id))

    @call
    def find(self, name_or_id: str) -> Steps[shapes.Dataset]:
        """The one with this id or, if only one has it, this name. Raises NotFound, Invalid."""
        return (yield from self._get((yield from self._named(name_or_id))))

    @call
    def create(self, /, name: str, **members: Any) -> Steps[str]:
        """Make one, whose columns come with its first run; its id."""
        return (yield from self._create({"name": name, **members}))

    @call
    def update(self, id: Id, changes: Changes) -> Steps[shapes.Dataset]:
        """Change one: a mapping is merged into it, anything else is JSON Patch; all of it."""
        yield from self._ask("PATCH", self._one(id), body=changes)
        return (yield from self._get(id))

    @call
    def delete(self, id: Id) -> Steps[None]:
        """Remove one that no flow writes to, with its table and rows."""
        yield from self._ask("DELETE", self._one(id))

    @call
    def preview(self, id: Id) -> Steps[Sequence[Json]]:
        """Its first 100 rows."""
        return (yield from self._ask("GET", self._one(id, "/preview", of=f"{EXPORT}/datasets")))["data"]

    @call
    def rows(self, id: Id, *, limit: int = 100) -> Steps[shapes.Rows]:
        """Its first rows, at most 1,000, as a query answers them."""
        return (yield from self._ask("GET", self._one(id, "/preview", of=_TABLES), params={"limit": limit}))

    @call
    def schema(self, id: Id) -> Steps[shapes.TableSchema]:
        """The columns of its table, how that is partitioned, and the name by which queries call it."""
        return (yield from self._ask("GET", self._one(id, "/schema", of=_TABLES)))

    @pages
    def snapshots(self, id: Id, *, limit: int | None = None) -> Steps[Page[shapes.Snapshot]]:
        """The states of its table that can still be read, newest first, with the runs that made them."""
        return (yield from self._by_link(self._one(id, "/snapshots", of=_TABLES), {}, limit))

    def _get(self, id: Id) -> Steps[shapes.Dataset]:
        return _with_ids((yield from self._ask("GET", self._one(id))))[0]

    def _create(self, body: Mapping[str, Any]) -> Steps[str]:
        return (yield from self._ask("POST", self._path, body=body))[0].rpartition("/")[2]

    def _named(self, name_or_id: str, *, make: bool = False) -> Steps[str]:
        """The id of the dataset with this id or name; of a new one, if so asked, when there is none."""
        found: list[str] = []
        for member in ("id", "name"):
            if not found:
                found = [*(yield from self._ask("GET", self._path, params={member: name_or_id, "limit": _FEW}))]
        if make and not found:
            return (yield from self._create({"name": name_or_id}))
        return only(found, "dataset", name_or_id)


class Batches(Group[D]):
    """What runs brought; a batch has the id of its run."""

    _path = f"{CATALOG}/batches"

    @pages
    def list(self, /, *, limit: int | None = None, **members: str) -> Steps[Page[shapes.Batch]]:
        """Those whose members are as given (`dataSet="…"`, `status="success"`), newest first, at most `limit`."""
        return (yield from self._by_offset(_with_ids, members, limit))

    @call
    def get(self, id: Id) -> Steps[shapes.Batch]:
        """The one with this id. Raises NotFound."""
        return _with_ids((yield from self._ask("GET", self._one(id))))[0]

    @call
    def revert(self, id: Id) -> Steps[None]:
        """Take its rows out of the table again, for good."""
        yield from self._ask("POST", self._one(id, of=f"{IMPORT}/batches"), params={"action": "REVERT"})


class Schemas(Group[D]):
    """The tenant's schemas, by `$id` or `meta:altId`."""

    _path = f"{REGISTRY}/tenant/schemas"

    @pages
    def list(self, /, *, limit: int | None = None, **params: str) -> Steps[Page[Json]]:
        """All of them, at most `limit`; `params` are the registry's own (`property`, `orderby`)."""
        return (yield from self._by_offset(lambda answer: answer["results"], params, limit))

    @call
    def get(self, id: str) -> Steps[Json]:
        """The one with this id, references resolved. Raises NotFound."""
        return (yield from self._ask("GET", self._one(id)))

    @call
    def create(self, body: Mapping[str, Any], *, source: str | None = None) -> Steps[Json]:
        """Make one, of the columns of the source connection with the id `source` if so asked; all of it."""
        return (yield from self._ask("POST", self._path, body=body, params={"fromSource": source}))

    @call
    def update(self, id: str, changes: Changes) -> Steps[Json]:
        """Change one; all of it."""
        return (yield from self._ask("PATCH", self._one(id), body=operations(changes)))

    @call
    def delete(self, id: str) -> Steps[None]:
        """Remove one that nothing uses."""
        yield from self._ask("DELETE", self._one(id))


class MappingSets(Group[D]):
    """Which columns become which fields."""

    _path = f"{CONVERSION}/mappingSets"

    @pages
    def list(self, /, *, limit: int | None = None, **params: str) -> Steps[Page[shapes.MappingSet]]:
        """All of them, newest first, at most `limit`; `params` are the API's own (`name`, `orderBy`)."""
        return (yield from self._by_offset(lambda answer: answer["data"], params, limit))

    @call
    def get(self, id: Id, *, version: int | None = None) -> Steps[shapes.MappingSet]:
        """The one with this id, in its newest version or the one asked for. Raises NotFound."""
        return (yield from self._ask("GET", self._one(id), params={"version": version}))

    @call
    def create(self, body: Mapping[str, Any]) -> Steps[shapes.MappingSet]:
        """Make one; with its id and version."""
        return (yield from self._ask("POST", self._path, body=body))

    @call
    def update(self, id: Id, body: Mapping[str, Any]) -> Steps[shapes.MappingSet]:
        """Make the next version of one; flows keep the version they have."""
        return (yield from self._ask("PUT", self._one(id), body=body))

    @call
    def delete(self, id: Id) -> Steps[None]:
        """Remove one that no flow uses."""
        yield from self._ask("DELETE", self._one(id))


class Sandboxes(Group[D]):
    """The organisation's sandboxes, by name."""

    _path = f"{SANDBOXES}/sandboxes"

    @pages
    def list(self, *, limit: int | None = None) -> Steps[Page[shapes.Sandbox]]:
        """Those in which the caller has a role, in any state."""
        return (yield from self._by_offset(lambda answer: answer["sandboxes"], {}, limit, counter="offset"))

    @call
    def get(self, name: str) -> Steps[shapes.Sandbox]:
        """The one of this name. Raises NotFound."""
        return (yield from self._ask("GET", self._one(name)))

    @call
    def create(self, name: str, *, title: str, type: str = "development") -> Steps[shapes.Sandbox]:
        """Make one, of type `development` or `production`; it can be used at once."""
        return (yield from self._ask("POST", self._path, body={"name": name, "title": title, "type": type}))

    @call
    def update(self, name: str, *, title: str) -> Steps[shapes.Sandbox]:
        """Give one another title."""
        return (yield from self._ask("PATCH", self._one(name), body={"title": title}))

    @call
    def reset(self, name: str) -> Steps[shapes.Sandbox]:
        """Remove all that one holds, its tables too."""
        return (yield from self._ask("PUT", self._one(name), body={"action": "reset"}))

    @call
    def delete(self, name: str) -> Steps[shapes.Sandbox]:
        """Close one for good."""
        return (yield from self._ask("DELETE", self._one(name)))


def _with_ids(answer: Mapping[str, Any]) -> list[Any]:
    return [{**found, "id": id_} for id_, found in answer.items()]
