"""`headgate connections`, `source-connections` and `target-connections`."""

import sys
from collections.abc import Sequence
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.bodies import Specs, secret_names, see_references
from headgate.cli.calling import Call, calling
from headgate.cli.documents import file_option, pairs, put, read_object, set_option
from headgate.cli.kinds import CONNECTIONS, DATASETS, SOURCES, TARGETS
from headgate.cli.output import at, show_document, show_rows
from headgate.cli.wording import Filling
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["ENDINGS", "connections", "explored", "show_explored", "source_connections", "target_connections"]

ENDINGS = {
    "csv": "delimited",
    "tsv": "delimited",
    "txt": "delimited",
    "json": "json",
    "jsonl": "json",
    "ndjson": "json",
    "parquet": "parquet",
    "avro": "avro",
    "orc": "orc",
}
"""What files are written in, by the end of their names."""

_INSTEAD = (
    "Have the service read it by env:NAME or file:PATH, give it by --password-stdin, or put the body into a file (-f)."
)
_AUTH = "auth.params."
_LOCAL = {"path", "folder"}  # parameters of files and folders of the service's machine
_param_option = click.option(
    "--param",
    "params",
    cls=Filling,
    fills=(_AUTH, "params."),
    multiple=True,
    metavar="NAME=VALUE",
    help="A parameter. Repeatable; a value may be JSON.",
)
_draft_option = click.option("--draft", is_flag=True, help="Make a draft, which may lack members.")


def _make(call: Call, client: "Client", kind: Any, body: Json, *, draft: bool) -> None:
    made = client.request("POST", kind.path, body=body, **({"mode": "draft"} if draft else {}))
    thing = kind.get(client, made["id"])
    call.show_one(thing, kind.fields)
    kind.see_double(call, client, thing)
    if kind is CONNECTIONS and not draft and not _LOCAL.isdisjoint((at(thing, "auth.params") or {}).keys()):
        _see_works(call, client, thing)


def _see_works(call: Call, client: "Client", connection: Json) -> None:
    """Say of a connection to a file or a folder, which is tried at once, that it does not work."""
    tried = client.request("GET", CONNECTIONS.at(connection["id"], "/test"))
    if not tried["result"]:
        name = min(_LOCAL & connection["auth"]["params"].keys())
        call.note(
            f"Warning: the connection is made, and does not work: {tried.get('reason')} "
            f"Set it right by: headgate connections update {connection['id']} --set {_AUTH}{name}=…"
        )


# -- connections -----------------------------------------------------------------------------------


@click.group()
def connections() -> None:
    """Say how systems are reached, and look into them."""


CONNECTIONS.add_reading(connections)


@connections.command()
@click.argument("name", required=False)
@click.option("--spec", help="Kind of system, for instance postgresql: `headgate specs list`.")
@click.option("--auth", help="Authentication spec.  [default: the first that has the parameters]")
@_param_option
@click.option("--password-stdin", is_flag=True, help="Read the secret parameter from standard input.")
@click.option("--description", default="", help="What people read about it.")
@set_option
@file_option
@_draft_option
@calling
def create(
    call: Call,
    name: str | None,
    spec: str | None,
    auth: str | None,
    params: tuple[str, ...],
    password_stdin: bool,
    description: str,
    sets: tuple[str, ...],
    file: str | None,
    draft: bool,
) -> None:
    """Make a connection.

    Secrets are references that the service follows (env:NAME, file:PATH), or come by standard input or a file; they are
    refused as arguments, which others on this machine can read.
    """
    if file == "-" and password_stdin:
        raise click.UsageError("Standard input cannot be the body and the secret at once.")
    with call.client() as client:
        body, specs, given = read_object(file), Specs(client), pairs(params, "--param")
        if spec:
            body |= specs.connection(name or body.get("name") or spec, spec, auth, given, description)
            if password_stdin and "auth" not in body:
                body["auth"] = {"specName": specs.auth(specs.named(spec), auth, given)["name"], "params": {}}
        elif name:
            body["name"] = name
        put(body, sets)
        _see_secrets(specs, body, [*given, *(text.partition("=")[0] for text in sets)])
        if password_stdin:
            _put_secret(specs, body, sys.stdin.read().rstrip("\r\n"))
        _make(call, client, CONNECTIONS, body, draft=draft)


def _auth_spec(specs: Specs, body: Json) -> Json:
    reference = body.get("connectionSpec") or {}
    if "id" not in reference:
        raise click.UsageError("Say what kind of system it is, by --spec or in the file.")
    auth = body.get("auth") or {}
    return specs.auth(specs.named(reference["id"]), auth.get("specName"), auth.get("params") or {})


def _see_secrets(specs: Specs, body: Json, arguments: Sequence[str]) -> None:
    """See that no argument was a secret."""
    params = (body.get("auth") or {}).get("params") or {}
    names = {name.removeprefix(_AUTH) for name in arguments} & set(params)
    if names:
        see_references(_auth_spec(specs, body), {name: params[name] for name in names}, _INSTEAD)


def _put_secret(specs: Specs, body: Json, secret: str) -> None:
    auth_spec = _auth_spec(specs, body)
    params = body["auth"].setdefault("params", {})
    open_ = secret_names(auth_spec) - set(params)
    needed = open_ & set(auth_spec["spec"].get("required", ())) or open_
    if len(needed) != 1:
        names = ", ".join(sorted(needed)) or "none"
        raise click.UsageError(
            f"--password-stdin gives one secret; {auth_spec['name']} still lacks {names}. Give the others by "
            "--param NAME=env:… or put the body into a file (-f)."
        )
    if not secret:
        raise click.UsageError("Standard input holds no secret.")
    params[next(iter(needed))] = secret


def _see_changed(client: "Client", found: Json, sets: Sequence[str]) -> None:
    changed = {name: value for name, value in pairs(sets, "--set").items() if name.startswith(_AUTH)}
    if changed:
        specs = Specs(client)
        params = {name.removeprefix(_AUTH): value for name, value in changed.items()}
        see_references(_auth_spec(specs, found), params, _INSTEAD)


CONNECTIONS.add_patch(connections, _see_changed)
CONNECTIONS.add_actions(connections, "publish")
CONNECTIONS.add_delete(connections)


@connections.command()
@CONNECTIONS.argument("connection")
@calling
def test(call: Call, connection: str) -> None:
    """Try whether the system lets a connection in. Exits with 1 when it does not."""
    with call.client() as client:
        found = CONNECTIONS.find(client, connection)
        result = {"id": found["id"], **client.request("GET", CONNECTIONS.at(found["id"], "/test"))}
    call.show_one(result, (("works", "result"), ("reason", "reason")))
    if not result["result"]:
        sys.exit(1)


_looking = (
    click.option("--format", "file_type", type=click.Choice([*dict.fromkeys(ENDINGS.values())]), help="Of a file."),
    click.option("--param", "params", multiple=True, metavar="NAME=VALUE", help="More of the address, repeatable."),
)


@connections.command()
@CONNECTIONS.argument("connection")
@click.argument("object_", metavar="[OBJECT]", required=False)
@_looking[0]
@_looking[1]
@calling
def explore(call: Call, connection: str, object_: str | None, file_type: str | None, params: tuple[str, ...]) -> None:
    """Show the tables, folders and files that a connection reaches; of OBJECT its columns."""
    with call.client() as client:
        id_ = CONNECTIONS.find(client, connection)["id"]
        found = _explored(client, id_, object_, file_type, pairs(params, "--param"))
    show_explored(call, found)


def show_explored(call: Call, found: Any) -> None:
    """Print what was found: the entries of a folder, or the columns of a table or a file."""
    if isinstance(found, list):
        call.show(found, (("path", "path"), ("name", "name"), ("type", "type")), id_="path")
    elif call.output == "table":
        deltas = {column["name"] for column in found.get("deltaColumns", [])}
        columns = found["schema"].get("columns") or [
            {"name": name, "type": about.get("type", "")}
            for name, about in found["schema"].get("properties", {}).items()
        ]
        marked = [{**column, "delta": "could be" if column["name"] in deltas else ""} for column in columns]
        call.show(marked, (("column", "name"), ("type", "type"), ("delta column", "delta")))
    elif call.output == "id":
        call.show(found["schema"].get("columns", []), (), id_="name")
    else:
        show_document(found, call.output)


@connections.command()
@CONNECTIONS.argument("connection")
@click.argument("object_", metavar="OBJECT")
@_looking[0]
@_looking[1]
@calling
def preview(call: Call, connection: str, object_: str, file_type: str | None, params: tuple[str, ...]) -> None:
    """Show the first rows of a table or a file, 100 at most."""
    with call.client() as client:
        id_ = CONNECTIONS.find(client, connection)["id"]
        found = _explored(client, id_, object_, file_type, {"preview": "true", **pairs(params, "--param")})
    if isinstance(found, list):
        raise click.UsageError(f"{object_} is a folder; `headgate connections explore` lists it.")
    show_rows(found["data"], call.output)


def _explored(client: "Client", id_: str, object_: str | None, file_type: str | None, params: Json) -> Any:
    spec = Specs(client).named(CONNECTIONS.get(client, id_)["connectionSpec"]["id"])
    return explored(client, CONNECTIONS.at(id_, "/explore"), spec, object_, file_type, params)


def explored(
    client: "Client", address: str, spec: Json, object_: str | None, file_type: str | None, params: Json
) -> Any:
    """What the service says of an object: of the root, a folder, a file or a table, as far as that can be told."""
    if object_ is None:
        return client.request("GET", address, objectType="root", **params)
    of_files = "path" in (spec.get("sourceSpec") or {}).get("spec", {}).get("properties", {})
    kind = file_type or (ENDINGS.get(_ending(object_)) if of_files else None)
    if kind is not None:
        return client.request("GET", address, objectType="file", object=object_, fileType=kind, **params)
    return client.request("GET", address, objectType="folder" if of_files else "table", object=object_, **params)


def _ending(path: str) -> str:
    return PurePosixPath(path.removesuffix(".gz")).suffix.lstrip(".").lower()


# -- what is read and written ----------------------------------------------------------------------


@click.group("source-connections")
def source_connections() -> None:
    """Say which table or files of a connection are read."""


SOURCES.add_reading(source_connections)


@source_connections.command("create")
@click.argument("name", required=False)
@click.option("--connection", help="Connection, by name or id.")
@click.option("--spec", help="Kind of system that needs no connection, for instance local-files.")
@click.option("--table", cls=Filling, fills=("params.tableName",), help="Table, with its schema where it has one.")
@click.option("--path", cls=Filling, fills=("params.path",), help="File, folder or wildcard.")
@click.option(
    "--format",
    "format_",
    cls=Filling,
    fills=("data.format",),
    help="How files are written.  [default: by the end of their names]",
)
@_param_option
@set_option
@file_option
@_draft_option
@calling
def create_source(
    call: Call,
    name: str | None,
    connection: str | None,
    spec: str | None,
    table: str | None,
    path: str | None,
    format_: str | None,
    params: tuple[str, ...],
    sets: tuple[str, ...],
    file: str | None,
    draft: bool,
) -> None:
    """Make a source connection: a table, or files."""
    with call.client() as client:
        body = read_object(file)
        if connection:
            base = CONNECTIONS.find(client, connection)
            body |= {"baseConnectionId": base["id"], "connectionSpec": base["connectionSpec"]}
        if spec:
            body["connectionSpec"] = Specs(client).ref(spec)
        chosen = {**({"tableName": table} if table else {}), **({"path": path} if path else {})}
        body["params"] = {**body.get("params", {}), **chosen, **pairs(params, "--param")}
        form = format_ or (None if table else ENDINGS.get(_ending(path or "")))
        if form:
            body["data"] = {**body.get("data", {}), "format": form}
        if name or table or path:
            body["name"] = name or body.get("name") or table or path
        put(body, sets)
        _make(call, client, SOURCES, body, draft=draft)


SOURCES.add_patch(source_connections)
SOURCES.add_actions(source_connections, "publish")
SOURCES.add_delete(source_connections)


@click.group("target-connections")
def target_connections() -> None:
    """Say which dataset is written, and what a repeated window does there."""


TARGETS.add_reading(target_connections)


@target_connections.command("create")
@click.argument("name", required=False)
@click.option("--dataset", cls=Filling, fills=("params.dataSetId",), help="Dataset, by name or id.")
@click.option(
    "--write-mode",
    cls=Filling,
    fills=("params.writeMode",),
    type=click.Choice(["replaceWindow", "append", "upsert"]),
    help="What a repeat does.",
)
@click.option(
    "--primary-key",
    "key",
    cls=Filling,
    fills=("params.primaryKey",),
    multiple=True,
    help="Column that tells rows apart, for upsert. Repeatable.",
)
@_param_option
@set_option
@file_option
@_draft_option
@calling
def create_target(
    call: Call,
    name: str | None,
    dataset: str | None,
    write_mode: str | None,
    key: tuple[str, ...],
    params: tuple[str, ...],
    sets: tuple[str, ...],
    file: str | None,
    draft: bool,
) -> None:
    """Make a target connection."""
    with call.client() as client:
        body = read_object(file)
        chosen = {
            **({"writeMode": write_mode} if write_mode else {}),
            **({"primaryKey": list(key)} if key else {}),
            **pairs(params, "--param"),
        }
        if dataset:
            found = DATASETS.find(client, dataset)
            title = name or body.get("name") or found["name"]
            body |= Specs(client).target(title, found["id"], {**body.get("params", {}), **chosen})
        else:
            body["params"] = {**body.get("params", {}), **chosen}
            body |= {"name": name} if name else {}
        put(body, sets)
        _make(call, client, TARGETS, body, draft=draft)


TARGETS.add_patch(target_connections)
TARGETS.add_actions(target_connections, "publish")
TARGETS.add_delete(target_connections)
