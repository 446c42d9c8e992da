"""What a row of the table may be, and the world that the rows are played in."""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.integration.bad_inputs.bodies import SCHEDULE
from tests.integration.face import Face, Json

CASSANDRA = "a8f4d393-1a6b-43f3-931f-91a16ed857f4"


@dataclass
class World:
    """What exists while the table is gone through: ids by the names that rows use."""

    face: Face
    other: Face
    ids: dict[str, str] = field(default_factory=dict)

    def fill(self, value: Any) -> Any:
        """`value` with its `{name}`s replaced."""
        if isinstance(value, str):
            for name, id_ in self.ids.items():
                value = value.replace("{" + name + "}", id_)
            return value
        if isinstance(value, dict):
            return {key: self.fill(member) for key, member in value.items()}
        return [self.fill(member) for member in value] if isinstance(value, list) else value


@dataclass(frozen=True)
class Case:
    """One line of the table."""

    row: int
    what: str

    def __str__(self) -> str:
        return f"{self.row} {self.what}"


@dataclass(frozen=True)
class Request(Case):
    """One request. `body` is sent as JSON, or as it is when it is bytes; a header that is None is left out."""

    request: str
    expect: str
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    token: Callable[[Face], str] | None = None


@dataclass(frozen=True)
class Files(Case):
    """A run over files: their contents by name, or a function that makes them in a folder."""

    format: str
    files: dict[str, bytes] | Callable[[Path], None]
    expect: str
    data: Json = field(default_factory=dict)


@dataclass(frozen=True)
class Procedure(Case):
    """Several requests to the world's service, played by a function that gives their answers back."""

    play: Callable[[World], Sequence[httpx.Response]]
    expect: str


@dataclass(frozen=True)
class Deployment(Case):
    """Several requests to a service of this case alone, with its data in the folder that the function is given."""

    play: Callable[[Path], Sequence[httpx.Response]]
    expect: str


def every(row: int, what: str, request: str, expect: str, *values: Any, **rest: Any) -> list[Request]:
    """A request for each of `values`: bodies, or for a request that names `{}` what stands there."""
    if "{}" in request:
        return [Request(row, f"{what} {v[:60]!r}", request.replace("{}", v), expect, **rest) for v in values]
    named = [
        repr(v) if isinstance(v, bytes) and len(v) < 40 else str(number) for number, v in enumerate(values, start=1)
    ]
    return [Request(row, f"{what} {name}", request, expect, v, **rest) for name, v in zip(named, values, strict=True)]


def held(answer: httpx.Response, expect: str) -> None:
    """See that `answer` has the status and code of `expect`, and tells nothing it should not."""
    status, _, code = expect.partition(" ")
    assert answer.status_code == int(status), answer.text
    assert answer.headers["x-request-id"]
    if code != "-":
        told = answer.json()
        found = told.get("error_code") or str(told["type"]).rpartition("/")[2]
        assert code in ("*", found), told
        assert "Traceback" not in answer.text
        assert "secret" not in answer.text


def made_world(face: Face, other: Face) -> World:
    """Two organisations with a flow and a run each, and flows in every state; a worker must be at work."""
    connection = face.connection()
    source, dataset = face.source(connection), face.dataset()
    target = face.target(dataset)
    shared = {"sourceConnectionIds": [source], "targetConnectionIds": [target]}
    ids = {"connection": connection, "source": source, "dataset": dataset, "target": target}
    for name in ("flow", "fresh", "disabled"):
        ids[name] = face.flow(name=name, **shared)
    copy = [{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}]
    ids["scheduled"] = face.flow(scheduleParams=SCHEDULE, transformations=copy, **shared)
    ids["draft"] = face.made("/flows?mode=draft", face.flow_body(**shared))
    listed = {"name": "ring", "connectionSpec": {"id": CASSANDRA}}
    known = {"host": "h", "port": 9042, "username": "u", "password": "p"}
    ring = face.made("/connections", {**listed, "auth": {"specName": "Basic Authentication", "params": known}})
    ids["listed source"] = face.made(
        "/sourceConnections", {**listed, "baseConnectionId": ring, "params": {"tableName": "x"}}
    )
    ids["port"] = str(face.http.base_url.port)
    delta = {"deltaColumn": {"name": "updated_at"}}
    ids["success"] = face.run(ids["flow"], **delta).json()["id"]
    ids["run of disabled"] = face.run(ids["disabled"], windowStartTime="1", windowEndTime="1", **delta).json()["id"]
    ids["waiting"] = face.run(ids["flow"], startTime="4000000000").json()["id"]
    for name in ("success", "run of disabled"):
        assert ended(face, ids[name])["metrics"]["statusSummary"]["status"] == "success"
    assert face.post(f"/flows/{ids['disabled']}/action?op=disable", None).status_code == 200
    theirs = other.connection()
    ids |= {"other org": other.credentials.org_id, "other connections": theirs}
    ids["other sourceConnections"] = other.source(theirs)
    ids["other targetConnections"] = other.target()
    ids["other flows"] = other.flow(
        sourceConnectionIds=[ids["other sourceConnections"]], targetConnectionIds=[ids["other targetConnections"]]
    )
    ids["other run"] = other.run(ids["other flows"], **delta).json()["id"]
    other.flow(
        sourceConnectionIds=[ids["other sourceConnections"]], targetConnectionIds=[ids["other targetConnections"]]
    )
    ids["other token"] = other.get("/flows", limit=1).json()["_links"]["next"]["href"].partition("=")[2]
    return World(face, other, ids)


def ended(face: Face, run_id: str) -> Json:
    """A run in the state in which it ends."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        [run] = face.get(f"/runs/{run_id}").json()["items"]
        if run["metrics"]["statusSummary"]["status"] in ("success", "failed", "cancelled"):
            return dict(run)
        time.sleep(0.02)
    raise AssertionError(f"run {run_id} does not end")
