"""`headgate copy`: one window of a source into a table of the lake, without a server."""

import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate.cli.addresses import Source, source_of
from headgate.cli.kinds import CONNECTIONS, DATASETS, FLOWS, window_of
from headgate.cli.options import data_option, output_option
from headgate.cli.output import at, show_one
from headgate.cli.progress import following, progress_option
from headgate.cli.runs import (
    FIELDS,
    FILLED_BY_COLUMN,
    FILLED_BY_FROM,
    see_empty,
    see_future,
    timeout_option,
    to_option,
)
from headgate.cli.wording import Filling
from headgate.cli.written import KINDS
from headgate.errors import HeadgateError, InvalidRequest
from headgate.model.addresses import HEADGATE
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.cli.applying import Step
    from headgate.client import Client

__all__ = ["copy"]

_MODES = click.Choice(["replaceWindow", "append"])


@click.command()
@click.argument("source")
@click.argument("table", required=False)
@click.option("--into", help="Dataset of the lake, made on first use.  [default: the table's own name]")
@click.option(
    "--delta-column",
    cls=Filling,
    fills=FILLED_BY_COLUMN,
    help="Column that is compared with the window; files have none.",
)
@click.option(
    "--from",
    "start",
    cls=Filling,
    fills=FILLED_BY_FROM,
    default="1970-01-01",
    show_default=True,
    help="Start of the window, inclusive.",
)
@to_option
@click.option("--password", help="Where the password is: env:NAME. Never the password itself.")
@click.option("--password-stdin", is_flag=True, help="Read the password from standard input.")
@click.option("--format", "format_", help="How files are written.  [default: by the end of their names]")
@click.option("--write-mode", type=_MODES, default="replaceWindow", show_default=True, help="What a repeat does.")
@timeout_option
@progress_option
@data_option
@output_option
@click.option("--quiet", "-q", is_flag=True, help="Say nothing beside the answer.")
def copy(
    source: str,
    table: str | None,
    into: str | None,
    delta_column: str | None,
    start: str,
    end: str,
    password: str | None,
    password_stdin: bool,
    format_: str | None,
    write_mode: str,
    timeout: float | None,
    progress: str | None,
    data: Path | None,
    output: str,
    quiet: bool,
) -> None:
    """Copy one window of TABLE of SOURCE into the lake of a data folder, once and without a server.

    \b
    SOURCE is  postgresql://user@host/database, mysql://…, mariadb://…
               sqlite:///shop.db, duckdb:///shop.duckdb
               a folder or a file, s3://bucket/folder
    TABLE  is  a table with its schema, or a path or wildcard below the folder

    The same copy again replaces what it had brought for that window. The window of files is when they were last
    modified. Passwords come from the environment (PGPASSWORD, MYSQL_PWD, AWS_ACCESS_KEY_ID …), --password env:NAME, or
    standard input.
    """
    from headgate.cli.in_process import in_process
    from headgate.service.local import settings_for

    found = source_of(source, _secret(password, stdin=password_stdin))
    reads = found.reads(table, format_)
    title = into or _own_name(reads)
    settings = settings_for(data)
    where = f" --data {shlex.quote(str(settings.data))}"
    roots = settings.file_roots or (Path.cwd(), settings.data)
    with in_process(settings.model_copy(update={"file_roots": (*roots, *found.folders)})) as client:
        with _undone_unless_started(client) as made:
            flow = _flow(client, found, reads, title, write_mode, made)
            column = None if found.of_files or _known(flow) == delta_column else delta_column
            if not found.of_files and column is None and _known(flow) is None:
                raise InvalidRequest(_candidates(client, flow, reads))
            run = client.runs.start({"id": flow["id"]}, window=(start, end), delta_column=column)
        if not quiet:
            _say(f"run {run.id} over {window_of(run.data)} into {title}")
            see_future(run.data, _say)
        with _kept_in_mind(made, quiet=quiet), following(progress, quiet=quiet) as show:
            run.wait(timeout=timeout, on_progress=lambda seen: show(seen.data))
        name = client.request("GET", f"{HEADGATE}/datasets/{DATASETS.find(client, title)['id']}/schema")["table"]
    show_one(dict(run.data), output, FIELDS)
    if not quiet:
        see_empty(run.data, _say)
    if not quiet and run.rows:
        _say(f"Ask it by: headgate query{where} 'FROM {name} LIMIT 10'")


def _say(text: str) -> None:
    click.echo(text, err=True)


@contextmanager
def _undone_unless_started(client: "Client") -> "Iterator[list[Step]]":
    """Take away again what a copy made, when no run comes of it: the source cannot be read, or the window is wrong."""
    made: list[Step] = []
    try:
        yield made
    except HeadgateError:
        for step in reversed(made):
            kind = KINDS[step.kind]
            client.request("DELETE", kind.at(kind.find(client, step.name)["id"]))
        raise


@contextmanager
def _kept_in_mind(made: "list[Step]", *, quiet: bool) -> Iterator[None]:
    """Tell whose copy has failed on its way what was made for it, which the same copy again goes on with."""
    from headgate.client import RunFailed

    try:
        yield
    except RunFailed:
        if made and not quiet:
            things = ", ".join(f"{step.kind} {step.name!r}" for step in reversed(made))
            _say(f"Made for this copy, and there for the same copy again: {things}.")
            _say("`headgate flows delete NAME`, and so on in that order, takes them away.")
        raise


def _secret(password: str | None, *, stdin: bool) -> str | None:
    if password is not None and not password.startswith(("env:", "file:")):
        raise click.UsageError("--password names where the password is, such as env:NAME; or use --password-stdin.")
    if stdin and password is not None:
        raise click.UsageError("--password and --password-stdin cannot go together.")
    return sys.stdin.read().rstrip("\r\n") if stdin else password


def _own_name(reads: Json) -> str:
    """The table's name without its schema; of files, that of their folder or of the file."""
    params = reads["params"]
    if "tableName" in params:
        return str(params["tableName"]).rpartition(".")[2]
    stem = Path(params["path"].partition("*")[0])
    name = stem.name.partition(".")[0]
    if not name:
        raise InvalidRequest("Name the dataset that is to be written, by --into.")
    return name


def _flow(client: "Client", source: Source, reads: Json, into: str, write_mode: str, made: "list[Step]") -> Json:
    """The flow of this copy, made unless an earlier one has. Its parts are known by what they stand for.

    What is made of it is added to `made` at once.
    """
    from headgate.cli.applying import apply_document

    what = reads["params"].get("tableName") or reads["params"]["path"]
    name = f"copy {what} of {source.name} into {into}"
    name += " by append" if write_mode == "append" else ""
    connection = {"spec": source.spec, "params": source.params, **({"auth": source.auth} if source.auth else {})}
    document = {
        "connections": {source.connection: connection},
        "datasets": {into: {}},
        "sources": {name: {"connection": source.connection, **reads}},
        "targets": {name: {"dataset": into, "params": {"writeMode": write_mode}}},
        "flows": {name: {"source": name, "target": name}},
    }
    for step in apply_document(client, document, secrets=source.secrets, renew_secrets=bool(source.secrets)):
        if step.action == "create":
            made.append(step)
    return FLOWS.find(client, name)


def _known(flow: Json) -> str | None:
    """The delta column that a flow took from its first run."""
    known: str | None = at(flow, "transformations.params.deltaColumn.name")
    return known


def _candidates(client: "Client", flow: Json, reads: Json) -> str:
    """What to say of a table whose delta column was not named."""
    connection = flow["inheritedAttributes"]["sourceConnections"][0]["baseConnection"]["id"]
    table = reads["params"]["tableName"]
    about = client.request("GET", CONNECTIONS.at(connection, "/explore"), objectType="table", object=table)
    columns = ", ".join(column["name"] for column in about.get("deltaColumns", []))
    could = f"It could be {columns}." if columns else "No column of it looks like one."
    return f"Name the column of {table} that the window is compared with, by --delta-column. {could}"
