"""`headgate datasets` and `headgate batches`: what is in the lake, and what brought it."""

from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

import click

from headgate.cli.calling import Call, calling
from headgate.cli.documents import file_option, put, read_object, set_option
from headgate.cli.kinds import BATCHES, DATASETS, LINKED
from headgate.cli.options import yes_option
from headgate.cli.output import Column, moment, show_document, show_rows
from headgate.cli.resources import limit_option
from headgate.errors import InvalidRequest
from headgate.model.addresses import EXPORT, HEADGATE, IMPORT, ROW_ERRORS
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["batches", "datasets"]

_AT_ONCE = 8 << 20  # bytes of a file that are asked for


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
        dataset = DATASETS.get(client, made.rsplit("/", 1)[1])
        call.show_one(dataset, DATASETS.fields)
        DATASETS.see_double(call, client, dataset)


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


@datasets.command()
@DATASETS.argument("dataset")
@set_option
@file_option
@calling
def replace(call: Call, dataset: str, sets: tuple[str, ...], file: str | None) -> None:
    """Replace all that can be changed of a dataset; its table and rows stay."""
    body = read_object(file)
    put(body, sets)
    with call.client() as client:
        id_ = DATASETS.find(client, dataset)["id"]
        client.request("PUT", DATASETS.at(id_), body=body)
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
        call.show(found, _BROUGHT, id_="dataSetFileId")


_BROUGHT: tuple[Column, ...] = (
    ("file", "dataSetFileId"),
    ("rows", "records"),
    ("bytes", "size"),
    ("in the table", "isValid"),
)


@batches.command()
@click.argument("batch")
@calling
def errors(call: Call, batch: str) -> None:
    """Print what was wrong with each record that a batch left out, as a JSON object a line."""
    with call.client() as client:
        path = f"{EXPORT}/batches/{batch}/meta"
        parts = client.request("GET", path, path=ROW_ERRORS)["data"]
        for part in parts:
            click.echo(client.read(path, path=part["name"]), nl=False)
    if not parts:
        call.note("The batch left no record out.")


@batches.command()
@click.argument("batch")
@click.option(
    "--into",
    type=click.Path(file_okay=False, path_type=Path),
    default=Path(),
    help="Folder that they are written to.  [default: the present one]",
)
@click.option("--failed", is_flag=True, help="The records that were left out, instead.")
@calling
def download(call: Call, batch: str, into: Path, failed: bool) -> None:
    """Write the files that a batch brought into a folder, and print their names. None is written over."""
    into.mkdir(parents=True, exist_ok=True)
    with call.client() as client:
        if failed:
            path = f"{EXPORT}/batches/{batch}/failed"
            parts = [(path, part) for part in client.request("GET", path)["data"]]
        else:
            brought = client.request("GET", f"{EXPORT}/batches/{batch}/files")["data"]
            paths = [f"{EXPORT}/files/{file['dataSetFileId']}" for file in brought]
            parts = [(path, part) for path in paths for part in client.request("GET", path)["data"]]
        for path, part in parts:
            _write(client, path, part, into)
    if not parts:
        call.note("The batch left no record out." if failed else "The batch has no files in the table any more.")


def _write(client: "Client", path: str, part: Json, into: Path) -> None:
    """Write one file, some megabytes at a time, and print where it is."""
    file = into / PurePosixPath(part["name"]).name
    try:
        with file.open("xb") as out:
            if "/files/" not in path:
                out.write(client.read(path, path=part["name"]))
            else:
                for first in range(0, int(part["length"]), _AT_ONCE):
                    here = {"Range": f"bytes={first}-{first + _AT_ONCE - 1}"}
                    out.write(client.read(path, path=part["name"], headers=here))
    except FileExistsError:
        raise InvalidRequest(f"{file} is there already; name another folder by --into.") from None
    click.echo(str(file))
