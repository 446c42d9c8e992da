"""`headgate apply` and `headgate export`: a sandbox from a document, and a document from a sandbox."""

import difflib
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import click

from headgate.cli.bodies import secret_names, see_references
from headgate.cli.calling import Call, calling
from headgate.cli.documents import read_object
from headgate.cli.flows import copy_transformation
from headgate.cli.kinds import CONNECTIONS, DATASETS, FLOWS, SOURCES
from headgate.cli.output import show_document
from headgate.cli.resources import replacing
from headgate.cli.written import DEFAULT_SCHEMA_TYPE, KINDS, MASK, Sandbox
from headgate.errors import InvalidRequest, NotFound
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.client import Client

__all__ = ["apply", "apply_document", "export"]

_MEMBERS = {
    "datasets": ("description", "schema"),
    "connections": ("description", "spec", "auth", "params"),
    "sources": ("description", "connection", "spec", "data", "params"),
    "targets": ("description", "dataset", "params"),
    "flows": (
        "description",
        "labels",
        "options",
        "policy",
        "source",
        "target",
        "schedule",
        "deltaColumn",
        "transformations",
        "enabled",
    ),
}
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_INSTEAD = (
    "Write ${NAME} for an environment variable of who applies it, or have the service read env:NAME or file:PATH."
)


@dataclass(frozen=True, slots=True)
class Step:
    """What one entry of a document comes to."""

    kind: str
    name: str
    action: Literal["create", "update", "none"]
    before: Json
    after: Json

    @property
    def changed(self) -> Json:
        """The members that are to change."""
        return {member: value for member, value in self.after.items() if value != self.before.get(member)}

    def wire(self) -> Json:
        """The step for programs."""
        return {"kind": self.kind, "name": self.name, "action": self.action, "changes": sorted(self.changed)}


@click.command()
@calling
def export(call: Call) -> None:
    """Write the sandbox down as a document that `headgate apply` takes. Secrets are only named in it."""
    with call.client() as client:
        sandbox = Sandbox.of(client)
    for doubled in sandbox.doubled:
        call.note(f"Several {doubled}: they are told apart by the beginning of their ids.")
    show_document(sandbox.document, "json" if call.output == "json" else "yaml")


@click.command()
@click.option("--file", "-f", "file", metavar="FILE", required=True, help="The document; - for standard input.")
@click.option("--diff", is_flag=True, help="Show how each thing changes.")
@click.option("--dry-run", is_flag=True, help="Change nothing, only say what would be changed.")
@click.option("--renew-secrets", is_flag=True, help="Send secrets of connections that are there once more.")
@calling
def apply(call: Call, file: str, diff: bool, dry_run: bool, renew_secrets: bool) -> None:
    """Make what a document says: what is missing is made, what differs is changed, all else is left alone.

    Things are known by their names. Members that the document leaves out stay as they are, and so do things that it
    does not name.
    """
    document = read_object(file)
    with call.client() as client:
        steps = []
        for step in apply_document(client, document, dry_run=dry_run, renew_secrets=renew_secrets):
            steps.append(step)
            if call.output == "table":
                _tell(step, diff=diff)
    if call.output == "id":
        for step in steps:
            if step.action != "none":
                click.echo(f"{step.kind} {step.name}")
    elif call.output != "table":
        show_document([step.wire() for step in steps], call.output)
    counts = {action: sum(step.action == action for step in steps) for action in ("create", "update", "none")}
    would = "would be " if dry_run else ""
    call.note(f"{counts['create']} {would}made, {counts['update']} {would}changed, {counts['none']} as they were")


def _tell(step: Step, *, diff: bool) -> None:
    if step.action == "none":
        return
    mark = "+" if step.action == "create" else "~"
    click.echo(f"{mark} {step.kind} {step.name}" + ("" if diff or mark == "+" else f": {', '.join(step.changed)}"))
    if diff:
        before, after = (
            _lines({name: entry.get(name) for name in step.changed}) for entry in (step.before, step.after)
        )
        for line in list(difflib.unified_diff(before, after, lineterm="", n=1))[2:]:
            click.echo(f"    {line}")


def _lines(entry: Json) -> list[str]:
    import yaml

    known = {name: value for name, value in entry.items() if value is not None}
    return yaml.safe_dump(known, sort_keys=True, allow_unicode=True).splitlines() if known else []


def apply_document(
    client: "Client",
    document: Json,
    *,
    dry_run: bool = False,
    renew_secrets: bool = False,
    secrets: Mapping[str, str] = os.environ,
) -> Iterator[Step]:
    """Carry a document out, step by step; `${NAME}` in it is what `secrets` has under that name.

    Raises InvalidRequest, NotFound, RequestFailed.
    """
    _check(document)
    sandbox = Sandbox.of(client)
    works = _Works(client, sandbox, secrets, renew=renew_secrets)
    wanted = {kind: document.get(kind) or {} for kind in KINDS}
    works.check(wanted)
    steps = [works.step(kind, name, entry or {}) for kind in KINDS for name, entry in wanted[kind].items()]
    for step in steps:
        if step.action != "none" and not dry_run:
            works.carry_out(step)
        yield step


def _check(document: Json) -> None:
    for kind, things in document.items():
        if kind not in KINDS:
            raise InvalidRequest(f"The document has a section {kind!r}; it may have {', '.join(KINDS)}.")
        if things is not None and not isinstance(things, dict):
            raise InvalidRequest(f"{kind} holds no names with what they stand for.")
        for name, entry in (things or {}).items():
            if entry is not None and not isinstance(entry, dict):
                raise InvalidRequest(f"{kind}: {name} is no object.")
            if strange := set(entry or ()) - set(_MEMBERS[kind]):
                raise InvalidRequest(
                    f"{kind}: {name} has the member {min(strange)!r}; it may have {', '.join(_MEMBERS[kind])}."
                )


class _Works:
    """What is done to a sandbox, one step after the other."""

    def __init__(self, client: "Client", sandbox: Sandbox, secrets: Mapping[str, str], *, renew: bool) -> None:
        self._client = client
        self._sandbox = sandbox
        self._specs = sandbox.specs
        self._secrets = secrets
        self._renew = renew
        self._ids = {kind: {n: str(thing.held["id"]) for n, thing in sandbox.things[kind].items()} for kind in KINDS}

    def check(self, wanted: dict[str, Json]) -> None:
        """See that every name that is referred to is there or in the document, and every secret at hand."""
        for kind, member, of in (
            ("sources", "connection", "connections"),
            ("targets", "dataset", "datasets"),
            ("flows", "source", "sources"),
            ("flows", "target", "targets"),
        ):
            for name, entry in wanted[kind].items():
                referred = (entry or {}).get(member)
                if referred is not None and referred not in wanted[of] and referred not in self._ids[of]:
                    raise NotFound(f"{kind}: {name} names the {member} {referred!r}, which is nowhere.")
        for name, entry in wanted["connections"].items():
            self._check_secrets(name, entry or {})

    def _check_secrets(self, name: str, entry: Json) -> None:
        params = entry.get("params") or {}
        held = self._sandbox.things["connections"].get(name)
        spec_name = entry.get("spec") or (held.entry["spec"] if held else None)
        if spec_name is None:
            raise InvalidRequest(f"connections: {name} has no spec, for instance postgresql.")
        spec = self._specs.named(spec_name)
        if held and held.entry["spec"] != spec["name"]:
            raise InvalidRequest(
                f"connections: {name} is there with the spec {held.entry['spec']}, which cannot change. "
                "Delete it, or choose another name."
            )
        if not params:
            return
        auth_name = entry.get("auth") or (held.entry.get("auth") if held else None)
        auth = self._specs.auth(spec, auth_name, params)
        written = {key: value for key, value in params.items() if not _VARIABLE.fullmatch(str(value))}
        see_references(auth, written, f"(connections: {name}) {_INSTEAD}")
        if held is None or self._renew:
            missing = [variable for variable in _variables(params) if not self._secrets.get(variable)]
            if missing:
                raise InvalidRequest(
                    f"connections: {name} needs the environment variable {missing[0]}, which is not set."
                )

    def step(self, kind: str, name: str, entry: Json) -> Step:
        """What an entry comes to. Raises InvalidRequest when several things of the kind have its name."""
        if f"{kind} {name}" in self._sandbox.doubled:
            raise InvalidRequest(f"Several {kind} are called {name}. `headgate export` shows how they are told apart.")
        held = self._sandbox.things[kind].get(name)
        entry = {member: value for member, value in entry.items() if value is not None}
        if held is None:
            return Step(kind, name, "create", {}, entry)
        if kind == "targets" and "params" in entry:
            entry = {**entry, "params": {"writeMode": "replaceWindow", **entry["params"]}}
        if kind == "flows" and "schedule" in entry:
            entry = {**entry, "schedule": _like(held.entry["schedule"], entry["schedule"])}
        before = {"enabled": True, **held.entry} if kind == "flows" else held.entry
        if kind == "connections" and "params" in entry:
            sealed = secret_names(
                self._specs.auth(self._specs.named(before["spec"]), before.get("auth"), entry["params"])
            )
            entry = {**entry, "params": self._as_held(entry["params"], before.get("params", {}), sealed)}
        changed = any(value != before.get(member) for member, value in entry.items())
        return Step(kind, name, "update" if changed else "none", before, entry)

    def _as_held(self, params: Json, held: Json, sealed: frozenset[str]) -> Json:
        """`params`, where a secret that is sealed at the service is what the document would call it."""
        if self._renew:
            return params
        return {
            name: held[name]
            if name in sealed and _VARIABLE.fullmatch(str(value)) and _VARIABLE.fullmatch(str(held.get(name)))
            else value
            for name, value in params.items()
        }

    def carry_out(self, step: Step) -> None:
        """Make or change one thing. Raises RequestFailed."""
        if step.action == "create":
            self._ids[step.kind][step.name] = self._create(step.kind, step.name, step.after)
        else:
            self._update(step)

    # -- making ------------------------------------------------------------------------------------

    def _create(self, kind: str, name: str, entry: Json) -> str:
        if kind == "datasets":
            [made] = self._client.request("POST", DATASETS.path, body={"name": name, **_dataset(entry)})
            return str(made).rsplit("/", 1)[1]
        made = self._client.request("POST", KINDS[kind].path, body=self._body(kind, name, entry))
        if kind == "flows" and entry.get("enabled") is False:
            self._client.request("POST", FLOWS.at(made["id"], "/action"), op="disable")
        return str(made["id"])

    def _body(self, kind: str, name: str, entry: Json) -> Json:
        about = {"description": entry["description"]} if "description" in entry else {}
        match kind:
            case "connections":
                params = self._filled(entry.get("params") or {})
                return self._specs.connection(name, entry["spec"], entry.get("auth"), params) | about
            case "sources":
                return {"name": name, **about, **self._source(entry)}
            case "targets":
                return (
                    self._specs.target(name, self._id("datasets", entry, "dataset"), entry.get("params") or {}) | about
                )
            case _:
                source = SOURCES.get(self._client, self._id("sources", entry, "source"))
                target = self._id("targets", entry, "target")
                schedule = entry.get("schedule") or {}
                body = self._specs.flow(name, source, target, schedule, _transformations(entry))
                return body | {member: entry[member] for member in _MEMBERS["flows"][:4] if member in entry}

    def _source(self, entry: Json) -> Json:
        if "connection" in entry:
            base = CONNECTIONS.get(self._client, self._id("connections", entry, "connection"))
            place = {"baseConnectionId": base["id"], "connectionSpec": base["connectionSpec"]}
        elif "spec" in entry:
            place = {"connectionSpec": self._specs.ref(entry["spec"])}
        else:
            raise InvalidRequest("A source has a connection, or a spec that needs none.")
        return {**place, "data": entry.get("data") or {}, "params": entry.get("params") or {}}

    def _id(self, kind: str, entry: Json, member: str) -> str:
        name = entry.get(member)
        if name is None:
            raise InvalidRequest(f"{member} is missing of what is to be made of {kind}.")
        return self._ids[kind][str(name)]

    def _filled(self, params: Json) -> Json:
        """`params` with the secrets that are named in it."""
        return {
            name: self._secrets[found[1]] if (found := _VARIABLE.fullmatch(str(value))) else value
            for name, value in params.items()
        }

    # -- changing ----------------------------------------------------------------------------------

    def _update(self, step: Step) -> None:
        held = self._sandbox.things[step.kind][step.name].held
        if step.kind == "datasets":
            self._client.request("PATCH", DATASETS.at(held["id"]), body=_dataset(step.changed))
        elif step.kind == "connections":
            self._change(CONNECTIONS, held, self._of_connection(step, held))
        elif step.kind == "flows":
            self._update_flow(step, held)
        elif set(step.changed) == {"description"}:
            self._change(KINDS[step.kind], held, {"description": step.after["description"]})
        else:
            self._replace(step, held)

    def _of_connection(self, step: Step, held: Json) -> Json:
        members = {"description": step.after["description"]} if "description" in step.changed else {}
        if "params" in step.changed:
            before = step.before.get("params", {})
            sealed = [] if self._renew else [name for name, value in before.items() if _VARIABLE.fullmatch(str(value))]
            sent = {
                name: MASK if name in sealed and value == before[name] else value
                for name, value in step.after["params"].items()
            }
            members["auth"] = {"specName": held["auth"]["specName"], "params": self._filled(sent)}
        return members

    def _replace(self, step: Step, held: Json) -> None:
        """Put a new source or target in place of one: flows keep a copy of theirs until they get another one."""
        kind, whole = step.kind, {**step.before, **step.after}
        if "connection" in step.after:
            whole.pop("spec", None)
        made = self._create(kind, step.name, whole)
        self._ids[step.kind][step.name] = made
        member = "sourceConnectionIds" if step.kind == "sources" else "targetConnectionIds"
        for flow in FLOWS.all(self._client):
            if flow[member] == [held["id"]]:
                kept = flow.get("transformations", [])
                if kind == "sources" and flow["scheduleParams"]["frequency"] == "once":
                    kept = [entry for entry in kept if entry["name"] != "Copy"]  # which a run of the new source names
                self._change(FLOWS, flow, {member: [made], "transformations": kept})
        self._client.request("DELETE", KINDS[step.kind].at(held["id"]))

    def _update_flow(self, step: Step, held: Json) -> None:
        changed, members = step.changed, {}
        for member in _MEMBERS["flows"][:4]:
            if member in changed:
                members[member] = changed[member]
        if "source" in changed:
            members["sourceConnectionIds"] = [self._id("sources", changed, "source")]
        if "target" in changed:
            members["targetConnectionIds"] = [self._id("targets", changed, "target")]
        if "schedule" in changed:
            start = held["scheduleParams"]["startTime"]
            members["scheduleParams"] = {"startTime": start, **changed["schedule"]}
        if {"deltaColumn", "transformations", "source"} & set(changed):
            members["transformations"] = _transformations({**step.before, **step.after})
        if members:
            self._change(FLOWS, FLOWS.get(self._client, held["id"]), members)
        if "enabled" in changed:
            op = "enable" if changed["enabled"] else "disable"
            self._client.request("POST", FLOWS.at(held["id"], "/action"), op=op)

    def _change(self, resources: Any, held: Json, members: Json) -> None:
        if members:
            resources.change(self._client, held["id"], replacing(held, members), held["etag"])


def _dataset(entry: Json) -> Json:
    body = {"description": entry["description"]} if "description" in entry else {}
    if "schema" in entry:
        body["schemaRef"] = {"id": entry["schema"], "contentType": DEFAULT_SCHEMA_TYPE}
    return body


def _transformations(entry: Json) -> list[Json]:
    column = entry.get("deltaColumn")
    others: Sequence[Json] = entry.get("transformations") or ()
    if column is None:
        return list(others)
    copy = (
        copy_transformation(column) if isinstance(column, str) else {"name": "Copy", "params": {"deltaColumn": column}}
    )
    return [copy, *others]


def _like(held: Json, schedule: Json) -> Json:
    """`schedule` with the members it leaves out, and with numbers as they are held: 1 and "1" are one thing."""
    same = {name: held[name] for name, value in schedule.items() if name in held and str(held[name]) == str(value)}
    start = {"startTime": held["startTime"]} if "startTime" in held else {}
    return {**start, **schedule, **same}


def _variables(params: Json) -> list[str]:
    return [found[1] for value in params.values() if (found := _VARIABLE.fullmatch(str(value)))]
