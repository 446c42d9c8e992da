"""`headgate datasets` and `headgate batches`: what is in the lake, and what brought it."""

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import file_option, put, read_object, set_option
from headgate.cli.kinds import BATCHES, DATASETS, LINKED
from headgate.cli.options import yes_option
from headgate.cli.output import Column, moment, show_document, show_rows
from headgate.cli.resources import limit_option
from headgate.model.addresses import EXPORT, HEADGATE, IMPORT

__all__ = ["batches", "datasets"]


@click.group()
def datasets() -> None:
    """Look after the datasets: the tables of the lake."""


DATASETS.add_reading(datasets)


@datasets.command()
@click.argument("name", required=False)
@click.option("--schema", help="$id of the schema its rows are to have.")
@click.option("--description", help="What people read about it.")
@set_option
@file_option
@calling
def create(
    call: Call, name: str | None, schema: str | None, description: str | None, sets: tuple[str, ...], file: str | None
) -> None:
    """Make a dataset. Its columns come with its first run."""
    body = read_object(file)
    body |= {member: value for member, value in (("name", name), ("description", description)) if value}
    if schema:
        body["schemaRef"] = {"id": schema, "contentType": "application/vnd.adobe.xed-full+json;version=1"}
    put(body, sets)
    with call.client() as client:
        [made] = client.request("POST", DATASETS.path, body=body)
        call.show_one(DATASETS.get(client, made.rsplit("/", 1)[1]), DATASETS.fields)


@datasets.command()
@DATASETS.argument("dataset")
@click.option("--name", help="A new name. The table keeps its own.")
@set_option
@file_option
@calling
def update(call: Call, dataset: str, name: str | None, sets: tuple[str, ...], file: str | None) -> None:
    """Change a dataset: what is given is merged into it."""
    changes = read_object(file) | ({"name": name} if name else {})
    put(changes, sets)
    with call.client() as client:
        id_ = DATASETS.find(client, dataset)["id"]
        client.request("PATCH", DATASETS.at(id_), body=changes)
        call.show_one(DATASETS.get(client, id_), DATASETS.fields)


DATASETS.add_delete(datasets, " with its table and rows")


@datasets.command()
@DATASETS.argument("dataset")
@click.option("--limit", default=20, show_default=True, type=click.IntRange(1, 100), help="Rows.")
@calling
def preview(call: Call, dataset: str, limit: int) -> None:
    """Show the first rows of a dataset."""
    with call.client() as client:
        id_ = DATASETS.find(client, dataset)["id"]
        rows = client.request("GET", f"{EXPORT}/datasets/{id_}/preview")["data"][:limit]
    show_rows(rows, call.output)


@datasets.command()
@DATASETS.argument("dataset")
@calling
def schema(call: Call, dataset: str) -> None:
    """Show the columns of a dataset's table; none before its first run."""
    with call.client() as client:
        found = client.request("GET", f"{HEADGATE}/datasets/{DATASETS.find(client, dataset)['id']}/schema")
    if call.output in ("table", "id"):
        call.show(found["columns"], (("column", "name"), ("type", "type"), ("required", "required")), id_="name")
    else:
        show_document(found, call.output)


@datasets.command()
@DATASETS.argument("dataset")
@limit_option
@calling
def snapshots(call: Call, dataset: str, limit: int) -> None:
    """Show the states of a dataset's table that can still be read, newest first, with the runs that made them."""
    with call.client() as client:
        path = f"{HEADGATE}/datasets/{DATASETS.find(client, dataset)['id']}/snapshots"
        call.show(LINKED.read(client, path, {}, limit), _SNAPSHOT)


_SNAPSHOT: tuple[Column, ...] = (
    ("snapshot", "id"),
    ("made (UTC)", lambda snapshot: moment(snapshot["createdAt"])),
    ("run", "runId"),
    ("operation", "operation"),
    ("added", "addedRows"),
    ("removed", "removedRows"),
    ("current", "current"),
)


@click.group()
def batches() -> None:
    """Look after the batches: what each run brought into a dataset."""


BATCHES.add_reading(batches)


@batches.command()
@click.argument("batch")
@yes_option
@calling
def revert(call: Call, batch: str, yes: bool) -> None:
    """Take the rows of a batch out of its table again, for good."""
    with call.client() as client:
        found = BATCHES.get(client, batch)
        call.confirm(f"Take the {found.get('recordCount', 0):,} rows of {batch} out of the table?", yes=yes)
        client.request("POST", f"{IMPORT}/batches/{batch}", action="REVERT")
        call.show_one(BATCHES.get(client, batch), BATCHES.fields)


@batches.command()
@click.argument("batch")
@click.option("--failed", is_flag=True, help="The records that were left out, instead.")
@calling
def files(call: Call, batch: str, failed: bool) -> None:
    """Show the files that a batch brought."""
    with call.client() as client:
        found = client.request("GET", f"{EXPORT}/batches/{batch}/{'failed' if failed else 'files'}")["data"]
    if failed:
        call.show(found, (("file", "name"), ("bytes", "length")), id_="name")
    else:
        call.show(found, (("file", "dataSetFileId"), ("rows", "recordCount")), id_="dataSetFileId")
