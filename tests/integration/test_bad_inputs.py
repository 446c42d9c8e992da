"""What a bad request, or a bad file, is answered with: one table, against a real server.

A row is: its number, what is sent, and the answer, as `status code`. `{name}` in an address or a body stands for an
id of the `World`. Codes are the last part of the error's type, or the gateway's own; `-` stands for an answer that
is no error. Rows that need more than one request are functions, below the table.
"""

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from headgate.engine import Worker
from headgate.model.orgs import Grant
from headgate.targets import Lake
from tests.integration import test_api_envelope, test_bad_files, test_issuers, test_limits, test_storage_down
from tests.integration import test_api_gateway as tokens
from tests.integration.face import (
    DATALAKE,
    FILES,
    LOCAL_FILES,
    POSTGRESQL,
    SQLITE,
    TABLES,
    WINDOW,
    Face,
    Json,
    refused,
    second_org,
)
from tests.unit import test_outbound

ODATA = "8e6b41a8-d998-4545-ad7d-c6a9fff406c3"
NOBODY = "00000000-0000-4000-8000-000000000000"
JSON = {"content-type": "application/json"}


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
    """One row. `body` is sent as JSON, or as it is when it is bytes; a header that is None is left out."""

    row: int
    what: str
    request: str
    expect: str
    body: Any = None
    headers: Mapping[str, str | None] = field(default_factory=dict)
    token: Callable[[Face], str] | None = None

    def __str__(self) -> str:
        return f"{self.row} {self.what}"


def flow(**changes: Any) -> Json:
    """A body that makes a flow, changed; None leaves a member out."""
    body = {
        "name": "flow",
        "flowSpec": {"id": TABLES, "version": "1.0"},
        "sourceConnectionIds": ["{source}"],
        "targetConnectionIds": ["{target}"],
        "scheduleParams": {"startTime": "1612310466", "frequency": "once"},
        **changes,
    }
    return {name: value for name, value in body.items() if value is not None}


def postgresql(**params: Any) -> Json:
    """A body that makes a connection to PostgreSQL."""
    server = {"server": "db.example", "database": "shop", "username": "etl", "password": "secret", **params}
    return {
        "name": "shop",
        "connectionSpec": {"id": POSTGRESQL},
        "auth": {"specName": "Basic Authentication", "params": server},
    }


def string(text: str) -> Json:
    """A body that makes a connection by its connection string."""
    auth = {"specName": "Connection String Based Authentication", "params": {"connectionString": text}}
    return {"name": "shop", "connectionSpec": {"id": POSTGRESQL}, "auth": auth}


def files(path: str, **data: Any) -> Json:
    """A body that makes a source connection on local files."""
    data = {"format": "delimited", **data}
    return {"name": "files", "connectionSpec": {"id": LOCAL_FILES}, "data": data, "params": {"path": path}}


def database(path: str) -> Json:
    """A body that makes a connection to a SQLite file."""
    return {
        "name": "file",
        "connectionSpec": {"id": SQLITE},
        "auth": {"specName": "Database File", "params": {"path": path}},
    }


def run(flow_id: str = "{flow}", **params: Any) -> Json:
    """A body that makes a run over a window, with `params` beside or in place of its own; None leaves one out."""
    given = {**WINDOW, **params}
    return {"flowId": flow_id, "params": {name: value for name, value in given.items() if value is not None}}


def every(row: int, what: str, request: str, expect: str, *values: Any, **rest: Any) -> list[Case]:
    """A row for each of `values`: bodies, or for a request that names `{}` what stands there."""
    if "{}" in request:
        return [Case(row, f"{what} {v!r}"[:60], request.replace("{}", v), expect, **rest) for v in values]
    return [Case(row, f"{what} {str(v)[:40]}", request, expect, body=v, **rest) for v in values]


def pql(operator: str, column: str, value: Any) -> str:
    """A row filter that compares one column, in Base64."""
    compared = [{"nodeType": "fieldLookup", "fieldName": column}, {"nodeType": "literal", "value": value}]
    node = {"nodeType": "fnApply", "fnName": operator, "params": compared}
    return base64.b64encode(json.dumps({"type": "PQL", "format": "pql/json", "value": node}).encode()).decode()


def patch(op: str, path: str, value: Any = None) -> list[Json]:
    """A body that changes a resource."""
    return [{"op": op, "path": path, "value": value}]


NO_PARAMS: tuple[Any, ...] = ({}, [], "x", None)
EXPLORE = "/connections/{connection}/explore?objectType=table&object=orders&preview=true"
ANY = {"if-match": "*"}
DEEP = b'{"name":' + b"[" * 100_000
LONG = b'{"name": ' + b"9" * 5000 + b"}"
SCHEDULE = {"startTime": "4000000000", "frequency": "minute", "interval": 15}

TABLE: list[Case] = [
    Case(1, "no token", "GET /flows", "403 403010", headers={"authorization": None}),
    Case(2, "no API key", "GET /flows", "403 403000", headers={"x-api-key": None}),
    Case(2, "unknown API key", "GET /flows", "403 403003", headers={"x-api-key": "nobody"}),
    Case(3, "no organisation", "GET /flows", "400 400003", headers={"x-gw-ims-org-id": None}),
    Case(3, "empty organisation", "GET /flows", "400 400003", headers={"x-gw-ims-org-id": ""}),
    Case(4, "another's organisation", "GET /flows", "403 403025", headers={"x-gw-ims-org-id": "{other org}"}),
    Case(5, "unknown sandbox", "GET /flows", "404 FLOW-2100-404", headers={"x-sandbox-name": "nowhere"}),
    Case(5, "no sandbox: the default one", "GET /flows?limit=1", "200 -", headers={"x-sandbox-name": None}),
    Case(5, "every sandbox", "GET /flows", "403 FLOW-2111-403", headers={"x-sandbox-name": "*"}),
    Case(5, "sandbox id of a user", "GET /flows", "400 FLOW-2110-400", headers={"x-sandbox-id": NOBODY}),
    *(
        Case(row, what, "GET /flows", "401 401013", token=tokens.FORGED[what])
        for row, names in {
            6: ["expired"],
            7: ["not yet"],
            8: ["none", "NONE", "nOnE"],
            9: ["HS256 by the public key"],
            10: ["RS256"],
            11: ["another audience", "another issuer", "no audience", "no exp"],
            12: ["jku", "x5u", "embedded jwk"],
            13: ["another key"],
            14: ["kid with a path", "kid with SQL"],
        }.items()
        for what in names
    ),
    Case(
        6,
        "expired half a minute ago",
        "GET /flows?limit=1",
        "200 -",
        token=lambda face: tokens.signed(face, exp=int(time.time()) - 30),
    ),
    Case(15, "truncated token", "GET /flows", "401 401013", token=lambda face: tokens.signed(face)[:-9]),
    Case(15, "four parts", "GET /flows", "401 401013", token=lambda face: f"{tokens.signed(face)}.x"),
    Case(15, "no Base64", "GET /flows", "401 401013", token=lambda _face: "a.b!.c"),
    Case(15, "lower-case scheme", "GET /flows", "401 401013", headers={"authorization": "bearer abc"}),
    Case(15, "two spaces", "GET /flows", "401 401013", headers={"authorization": "Bearer  abc"}),
    *(
        Case(16, f"{method} {kind} of another", f"{method} /{kind}/{{other {kind}}}", "404 FLOW-1439-404", body, head)
        for kind in ("connections", "sourceConnections", "targetConnections", "flows")
        for method, body, head in (
            ("GET", None, {}),
            ("PATCH", patch("replace", "/name", "x"), ANY),
            ("DELETE", None, {}),
        )
    ),
    Case(16, "run of another", "GET /runs/{other run}", "404 FLOW-1439-404"),
    Case(16, "cancel another's run", "POST /runs/{other run}/action?op=cancel", "404 FLOW-1439-404"),
    Case(16, "disable another's flow", "POST /flows/{other flows}/action?op=disable", "404 FLOW-1439-404"),
    Case(16, "run another's flow", "POST /runs", "400 FLOW-1430-400", run("{other flows}")),
    *every(
        18, "malformed", "POST /flows", "400 BadRequestError", b"{", b"[]", b'"x"', b"{'a': 1}", b"{,}", headers=JSON
    ),
    *every(18, "empty", "POST /flows", "400 FLOW-1405-400", b"", b"null", b" \n", headers=JSON),
    Case(19, "no content type", "POST /flows", "400 BadRequestError", b"{}"),
    Case(19, "another content type", "POST /flows", "400 BadRequestError", b"{}", {"content-type": "text/plain"}),
    *every(
        20,
        "odd JSON",
        "POST /connections",
        "400 BadRequestError",
        b'{"name": "\xff"}',
        b'{"name": "\\ud800"}',
        b'{"name": "\\u0000"}',
        b'{"name": 1, "name": 2}',
        b'{"name": NaN}',
        LONG,
        DEEP,
        headers=JSON,
    ),
    Case(21, "2 MiB", "POST /flows", "413 FLOW-1100-413", b'{"name": "' + b"x" * 2**21 + b'"}', JSON),
    Case(22, "unknown address", "GET /nothing", "404 FLOW-1101-404"),
    Case(22, "wrong method", "PUT /flows", "405 FLOW-1100-405"),
    Case(22, "trailing slash", "POST /runs/", "201 -", run("{flow}")),
    *every(23, "id", "GET /flows/{}", "404 FLOW-1439-404", "nonsense", "5A0F4C1E-0004-4000-8000-000000000004", "%00"),
    Case(23, "id that climbs", "GET /flows/..%2fruns", "404 FLOW-1439-404"),
    Case(24, "unknown parameter", "GET /flows?colour=red", "400 FLOW-1451-400"),
    *every(25, "limit", "GET /flows?limit={}", "400 CONNECTOR-1394-400", "0", "-1"),
    Case(25, "limit is a text", "GET /flows?limit=x", "400 FLOW-1452-400"),
    Case(25, "huge limit", "GET /flows?limit=1000000000", "200 -"),
    Case(26, "count with limit: lenient", "GET /flows?count=true&limit=1", "200 -"),
    *every(27, "orderby", "GET /flows?orderby={}", "400 FLOW-1433-400", "nope", "name;drop table runs"),
    Case(27, "orderby prefix", "GET /flows?orderby=*id", "400 FLOW-1432-400"),
    Case(28, "pattern", "GET /flows?property=id~x", "400 FLOW-1440-400"),
    Case(28, "order of ids", "GET /flows?property=id>5", "400 FLOW-1448-400"),
    Case(28, "no value", "GET /flows?property=createdAt==", "400 FLOW-1453-400"),
    Case(28, "order of several", "GET /flows?property=createdAt>=1,2", "400 FLOW-1443-400"),
    Case(28, "unknown field", "GET /flows?property=nope==1", "400 FLOW-1449-400"),
    Case(29, "SQL as a name", "GET /flows?property=name==' or 1=1;--", "200 -"),
    *every(
        30,
        "token",
        "GET /flows?continuationToken={}",
        "400 FLOW-1452-400",
        "garbage",
        "AAAA",
        "{other token}",
        "a" * 400,
    ),
    *every(
        31,
        "link-local host",
        "POST /connections",
        "400 *",
        *(
            postgresql(server=host)
            for host in ("169.254.169.254", "::ffff:a9fe:a9fe", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376")
        ),
    ),
    *every(
        32,
        "loopback host among tenants",
        "POST /connections",
        "400 *",
        *(postgresql(server=host) for host in ("localhost", "127.1", "0", "::1", "[::1]")),
    ),
    *every(
        35,
        "scheme",
        "POST /connections",
        "400 *",
        *(
            string(text)
            for text in ("file:///etc/passwd", "gopher://h/", "jdbc:postgresql://h/db", "postgresql://h\r\nx/db")
        ),
    ),
    *every(37, "port", "POST /connections", "400 *", *(postgresql(port=port) for port in (0, 65536, "22;rm"))),
    *every(
        39,
        "path out of the roots",
        "POST /connections",
        "400 *",
        *(database(path) for path in ("../../etc/passwd", "/etc/../root", "/etc/passwd", "/proc/self/environ")),
    ),
    *every(
        39,
        "file out of the roots",
        "POST /sourceConnections",
        "400 *",
        *(files(path) for path in ("../../etc/passwd", "/etc/../root/*.csv", "/etc/*.conf")),
    ),
    *every(
        41, "unbalanced wildcard", "POST /sourceConnections", "400 CONNECTOR-1312-400", files("[abc.csv"), files("x[")
    ),
    *every(
        44, "archive", "POST /sourceConnections", "400 CONNECTOR-1312-400", files("x.zip", compressionType="zipDeflate")
    ),
    *every(
        46,
        "delimiter",
        "POST /sourceConnections",
        "400 CONNECTOR-1331-400",
        files("a.csv", columnDelimiter=";;"),
        files("a.csv", columnDelimiter=""),
    ),
    Case(46, "encoding", "POST /sourceConnections", "400 CONNECTOR-1312-400", files("a.csv", encoding="utf-7")),
    Case(50, "PATCH without If-Match", "PATCH /flows/{flow}", "400 FLOW-1403-400", patch("replace", "/name", "n")),
    Case(50, "stale", "PATCH /flows/{flow}", "412 FLOW-1404-412", patch("replace", "/name", "n"), {"if-match": '"x"'}),
    Case(50, "any version", "PATCH /flows/{flow}", "200 -", patch("replace", "/name", "n"), ANY),
    *every(
        51,
        "op",
        "PATCH /flows/{flow}",
        "400 FLOW-1434-400",
        patch("move", "/name"),
        patch("test", "/name"),
        headers=ANY,
    ),
    Case(51, "bad path", "PATCH /flows/{flow}", "400 CONNECTOR-1365-400", patch("add", "name", "x"), ANY),
    Case(51, "missing member", "PATCH /flows/{flow}", "400 FLOW-1455-400", patch("remove", "/labels/3"), ANY),
    Case(51, "needed member", "PATCH /flows/{flow}", "400 CONNECTOR-1304-400", patch("remove", "/name"), ANY),
    Case(
        51,
        "index below zero",
        "PATCH /flows/{flow}",
        "400 CONNECTOR-1365-400",
        patch("add", "/sourceConnectionIds/-1", "x"),
        ANY,
    ),
    Case(51, "10,000 ops", "PATCH /flows/{flow}", "400 *", patch("replace", "/name", "n") * 10_000, ANY),
    *(
        Case(52, path, "PATCH /connections/{connection}", f"400 {code}", patch("replace", path, "x"), ANY)
        for path, code in (
            ("/connectionSpec", "FLOW-1414-400"),
            ("/id", "CONNECTOR-1365-400"),
            ("/imsOrgId", "CONNECTOR-1365-400"),
            ("/createdBy", "CONNECTOR-1365-400"),
            ("/__proto__", "CONNECTOR-1365-400"),
            ("/auth/specName", "FLOW-1415-400"),
        )
    ),
    Case(54, "connection in use", "DELETE /connections/{connection}", "400 FLOW-1418-400"),
    Case(54, "source in use", "DELETE /sourceConnections/{source}", "400 FLOW-1447-400"),
    Case(54, "nobody's", f"DELETE /connections/{NOBODY}", "404 FLOW-1439-404"),
    Case(55, "unknown spec", "POST /connections", "400 FLOW-1413-400", {"name": "x", "connectionSpec": {"id": NOBODY}}),
    Case(
        55,
        "another's auth spec",
        "POST /connections",
        "400 FLOW-1415-400",
        {**database("x"), "auth": {"specName": "Basic Authentication", "params": {}}},
    ),
    Case(
        55,
        "missing parameter",
        "POST /connections",
        "400 CONNECTOR-1304-400",
        {**database("x"), "auth": {"specName": "Database File", "params": {}}},
    ),
    Case(55, "parameter of another type", "POST /connections", "400 CONNECTOR-1312-400", postgresql(database=5)),
    *every(
        56,
        "driver option",
        "POST /connections",
        "400 *",
        *(
            string(f"postgresql://db.example/shop?{option}")
            for option in ("options=-c%20x%3D1", "service=x", "passfile=/etc/passwd", "sslrootcert=/etc/passwd")
        ),
        string("Server=db.example;Database=shop;UID=u;Password=p;Driver=/x/y.so"),
        string("Server=db.example;Database=shop;UID=u;Password=p;LOCAL INFILE=1"),
    ),
    *every(
        57,
        "object",
        "GET /connections/{connection}/explore?objectType=table&object={}",
        "404 FLOW-1101-404",
        't"; DROP TABLE orders; --',
        "a.b.c.d",
        "nothing",
        "x" * 5000,
    ),
    *(
        Case(58, f"filters {filters}", f"GET {EXPLORE}&filters={filters}", f"400 {code}")
        for filters, code in (
            ("!!!", "CONNECTOR-1389-400"),
            ("bm8ganNvbg==", "CONNECTOR-1349-400"),  # "no json"
            (pql("=", "nothing", 1), "CONNECTOR-1378-400"),
            (pql("=", "id", "text"), "CONNECTOR-1379-400"),
            (pql("~", "id", 1), "CONNECTOR-1351-400"),
        )
    ),
    Case(
        59,
        "another's connection",
        "POST /sourceConnections",
        "404 FLOW-1439-404",
        {
            "name": "x",
            "connectionSpec": {"id": SQLITE},
            "baseConnectionId": "{other connections}",
            "params": {"tableName": "orders"},
        },
    ),
    Case(
        59,
        "another's source",
        "POST /flows",
        "404 FLOW-1439-404",
        flow(sourceConnectionIds=["{other sourceConnections}"]),
    ),
    Case(60, "no source", "POST /flows", "400 CONNECTOR-1320-400", flow(sourceConnectionIds=[])),
    Case(
        60, "two sources", "POST /flows", "400 CONNECTOR-1321-400", flow(sourceConnectionIds=["{source}", "{source}"])
    ),
    Case(
        60,
        "target is no lake",
        "POST /targetConnections",
        "400 CONNECTOR-1307-400",
        {"name": "x", "connectionSpec": {"id": SQLITE}, "params": {"dataSetId": "{dataset}"}},
    ),
    Case(
        60,
        "no dataset",
        "POST /targetConnections",
        "400 CONNECTOR-1325-400",
        {
            "name": "x",
            "connectionSpec": {"id": DATALAKE},
            "params": {},
        },
    ),
    *(
        Case(
            61,
            f"interval {interval!r}",
            "POST /flows",
            f"400 CONNECTOR-{code}-400",
            flow(
                scheduleParams={"startTime": "4000000000", "frequency": "minute", "interval": interval},
                transformations=[{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}],
            ),
        )
        for interval, code in ((0, 1363), (-1, 1363), ("abc", 1363), (14, 1363), (None, 1362))
    ),
    Case(
        61,
        "interval of once",
        "POST /flows",
        "400 CONNECTOR-1361-400",
        flow(
            scheduleParams={"startTime": "1612310466", "frequency": "once", "interval": 0},
        ),
    ),
    Case(
        61,
        "backfill of once",
        "POST /flows",
        "400 CONNECTOR-1364-400",
        flow(
            scheduleParams={"startTime": "1612310466", "frequency": "once", "backfill": True},
        ),
    ),
    Case(61, "no delta column", "POST /flows", "400 CONNECTOR-1367-400", flow(scheduleParams=SCHEDULE)),
    Case(
        61,
        "delta column of once",
        "POST /flows",
        "400 CONNECTOR-1369-400",
        flow(
            transformations=[{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}],
        ),
    ),
    Case(
        62,
        "unknown mapping set",
        "POST /flows",
        "400 FLOW-1419-400",
        flow(
            transformations=[{"name": "Mapping", "params": {"mappingId": "f" * 32, "mappingVersion": 0}}],
        ),
    ),
    *(
        Case(63, f"flowId {id_!r}", "POST /runs", "400 FLOW-1446-400", {"flowId": id_, "params": WINDOW})
        for id_ in (None, "", 5)
    ),
    Case(63, "unknown flow", "POST /runs", "400 FLOW-1430-400", run(NOBODY)),
    *every(
        64,
        "params",
        "POST /runs",
        "400 CONNECTOR-1384-400",
        *({"flowId": "{flow}", "params": params} for params in NO_PARAMS),
    ),
    Case(65, "reversed", "POST /runs", "400 CONNECTOR-1381-400", run(windowStartTime="2", windowEndTime="1")),
    Case(65, "empty window", "POST /runs", "201 -", run(windowStartTime="2", windowEndTime="2")),
    *(
        Case(66, f"time {value!r}", "POST /runs", "400 CONNECTOR-1340-400", run(windowStartTime=value))
        for value in ("yesterday", "", -1, "2024-03-01T00:00:00Z", 10**18, True)
    ),
    Case(66, "milliseconds", "POST /runs", "201 -", run(windowStartTime=1709251200000)),
    Case(67, "in the year 2493", "POST /runs", "201 -", run(windowEndTime="16515859567")),
    Case(68, "first run without delta column", "POST /runs", "400 CONNECTOR-1383-400", run("{fresh}")),
    Case(68, "another delta column", "POST /runs", "400 CONNECTOR-1382-400", run(deltaColumn={"name": "created"})),
    Case(68, "the same delta column", "POST /runs", "201 -", run(deltaColumn={"name": "updated_at"})),
    *(
        Case(
            69,
            f"delta column {name[:20]!r}",
            "POST /runs",
            "400 CONNECTOR-1384-400",
            run("{fresh}", deltaColumn={"name": name}),
        )
        for name in ("nothing", "payload", "total", "id;drop table", "x" * 65536)
    ),
    Case(71, "scheduled flow", "POST /runs", "400 CONNECTOR-1386-400", run("{scheduled}")),
    Case(71, "disabled flow", "POST /runs", "400 FLOW-1444-400", run("{disabled}")),
    Case(71, "draft", "POST /runs", "400 FLOW-1444-400", run("{draft}")),
    Case(
        71,
        "source that cannot run",
        "POST /flows",
        "400 CONNECTOR-1385-400",
        flow(
            flowSpec={"id": FILES},
            sourceConnectionIds=["{listed source}"],
        ),
    ),
    Case(72, "re-trigger a success with rows", "POST /runs/{success}/action?op=re-trigger", "400 CONNECTOR-1387-400"),
    Case(72, "re-trigger a waiting run", "POST /runs/{waiting}/action?op=re-trigger", "400 CONNECTOR-1387-400"),
    Case(
        72,
        "re-trigger on a disabled flow",
        "POST /runs/{run of disabled}/action?op=re-trigger",
        "400 CONNECTOR-1388-400",
    ),
    Case(72, "unknown action", "POST /runs/{success}/action?op=bogus", "400 CONNECTOR-1401-400"),
    Case(72, "no action", "POST /runs/{success}/action", "400 CONNECTOR-1401-400"),
    Case(73, "cancel a finished run", "POST /runs/{success}/action?op=cancel", "400 FLOW-1422-400"),
    Case(73, "cancel", "POST /runs/{waiting}/action?op=cancel", "200 -"),
    Case(73, "cancel again", "POST /runs/{waiting}/action?op=cancel", "200 -"),
    Case(74, "PUT by a user", "PUT /runs/{success}", "400 FLOW-1427-400", {"flowId": "{flow}"}, ANY),
    Case(75, "long idempotency key", "POST /runs", "400 FLOW-1452-400", run(), {"idempotency-key": "k" * 300}),
    Case(75, "key", "POST /runs", "201 -", run(), {"idempotency-key": "table"}),
    Case(
        75, "key with another body", "POST /runs", "400 FLOW-1452-400", run(startTime="1"), {"idempotency-key": "table"}
    ),
    *(
        Case(row, what, "POST /flows", "400 CONNECTOR-1385-400", flow(sourceConnectionIds=["{listed rest}"]))
        for row, what in (
            (34, "REST source, which could be redirected: none can run"),
            (49, "OData document with a bomb: none is read"),
        )
    ),
    Case(36, "our own port", "POST /connections", "400 *", postgresql(server="127.0.0.1", port="{port}")),
    *(
        Case(
            38, f"webhook to {host}", "POST /webhooks", "400 FLOW-EXT-HOST-400", {"name": "w", "url": f"http://{host}/"}
        )
        for host in ("10.0.0.1", "127.0.0.1:{port}", "169.254.169.254", "2130706433", "[::ffff:10.0.0.1]")
    ),
    Case(49, "YAML", "POST /connectionSpecs", "400 BadRequestError", b"a: &a [*a]", {"content-type": "text/yaml"}),
    Case(77, "20 kB header", "GET /flows", "431 *", headers={"x-odd": "x" * 20_000}),
    Case(
        78, "spoofed host", "GET /flows?limit=1", "200 -", headers={"host": "evil.example", "x-forwarded-host": "evil"}
    ),
]


# Rows that take more than one request, or a deployment of their own, and the tests that go through them.
ELSEWHERE: dict[int, Callable[..., None]] = {
    13: test_issuers.test_a_thousand_unknown_keys_are_one_fetch,
    21: test_api_envelope.test_a_body_that_does_not_arrive_is_given_up,
    33: test_outbound.test_postgresql_connects_to_the_judged_address_and_not_to_the_name,
    76: test_limits.test_more_runs_than_allowed_are_refused_before_anything_is_stored,
    80: test_storage_down.test_sqlite_locked,
}


def test_every_row_is_a_case() -> None:
    rows = (
        {case.row for case in TABLE} | {case.row for case in test_bad_files.TABLE} | set(ELSEWHERE) | {17, 53, 70, 79}
    )
    assert rows == set(range(1, 81))


@pytest.fixture(scope="module")
def world(face: Face) -> Iterator[World]:
    """Two organisations with a flow and a run each, and flows in every state; a worker runs what is run here."""
    other = second_org(face)
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    try:
        yield _world(face, other)
    finally:
        worker.stop()
        lake.close()


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_row(world: World, case: Case) -> None:
    method, _, address = case.request.partition(" ")
    path, _, query = world.fill(address).partition("?")
    headers = {**world.face.headers}
    if case.token is not None:
        headers["Authorization"] = f"Bearer {case.token(world.face)}"
    for name, value in world.fill(dict(case.headers)).items():
        headers = {known: text for known, text in headers.items() if known.lower() != name}
        if value is not None:
            headers[name] = value
    content = case.body if isinstance(case.body, bytes) else None
    body = None if content is not None else world.fill(case.body)
    parameters = [part.partition("=")[::2] for part in query.split("&") if part]
    answer = world.face.http.request(
        method,
        path if path.startswith("/data") else f"/data/foundation/flowservice{path}",
        params=parameters or None,
        headers=headers,
        content=content,
        json=body,
    )
    status, _, code = case.expect.partition(" ")
    assert answer.status_code == int(status), answer.text
    assert answer.headers["x-request-id"]
    if code != "-":
        told = answer.json()
        found = told.get("error_code") or str(told["type"]).rpartition("/")[2]
        assert code in ("*", found), told
        assert "Traceback" not in answer.text
        assert "secret" not in answer.text


def test_row_17_a_principal_that_may_only_read(world: World) -> None:
    viewer = tokens.signed(world.face, sub="viewer@headgate")
    headers = {**world.face.headers, "Authorization": f"Bearer {viewer}"}
    grant = Grant("viewer@headgate", "user", "viewer", "prod")
    world.face.store.tenants.grant(world.face.credentials.org_id, grant)
    base = "/data/foundation/flowservice"
    assert world.face.http.get(f"{base}/flows?limit=1", headers=headers).status_code == 200
    for path in ("connections", "flows", "runs"):
        refused(world.face.http.post(f"{base}/{path}", json={}, headers=headers), 403, "FLOW-2121-403")


def test_row_53_two_changes_of_one_version(world: World) -> None:
    etag = world.face.get(f"/flows/{world.ids['fresh']}").json()["items"][0]["etag"]
    path = f"/flows/{world.ids['fresh']}"
    answers = _at_once(
        *(
            lambda name=name: world.face.send(
                "PATCH",
                path,
                json.dumps(patch("replace", "/name", name)).encode(),
                Content_Type="application/json",
                If_Match=etag,
            )
            for name in ("one", "two")
        )
    )
    assert sorted(answer.status_code for answer in answers) == [200, 412]


def test_row_70_two_first_runs_with_different_delta_columns(world: World) -> None:
    flow_id = world.face.flow(
        sourceConnectionIds=[world.ids["source"]], targetConnectionIds=[world.ids["target"]], name="two first runs"
    )
    answers = _at_once(
        *(lambda name=name: world.face.run(flow_id, deltaColumn={"name": name}) for name in ("updated_at", "created"))
    )
    assert sorted(answer.status_code for answer in answers) == [201, 400]
    refused(next(answer for answer in answers if answer.status_code == 400), 400, "CONNECTOR-1382-400")


def test_row_79_markup_in_a_name_stays_data(world: World) -> None:
    markup = "<script>alert(1)</script>\x1b[31m =cmd()"
    made = world.face.connection(markup)
    answer = world.face.get(f"/connections/{made}")
    assert answer.json()["items"][0]["name"] == markup
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-content-type-options"] == "nosniff"


def _at_once(*calls: Callable[[], httpx.Response]) -> list[httpx.Response]:
    """What calls that begin at the same moment are answered."""
    barrier = threading.Barrier(len(calls))

    def call(ask: Callable[[], httpx.Response]) -> httpx.Response:
        barrier.wait(timeout=10)
        return ask()

    with ThreadPoolExecutor(len(calls)) as pool:
        return list(pool.map(call, calls))


def _world(face: Face, other: Face) -> World:
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
    listed = {"name": "bucket", "connectionSpec": {"id": "ecadc60c-7455-4d87-84dc-2a0e293d997b"}}
    keys = {"specName": "Access Key", "params": {"s3AccessKey": "a", "s3SecretKey": "b"}}
    bucket = face.made("/connections", {**listed, "auth": keys})
    ids["listed source"] = face.made(
        "/sourceConnections",
        {**listed, "baseConnectionId": bucket, "data": {"format": "json"}, "params": {"path": "/x"}},
    )
    rest = {"name": "rest", "connectionSpec": {"id": ODATA}}
    [odata] = face.get(f"/connectionSpecs/{ODATA}").json()["items"]
    auth_spec = odata["authSpec"][0]
    params = dict.fromkeys(auth_spec["spec"]["required"], "x")
    account = face.made("/connections", {**rest, "auth": {"specName": auth_spec["name"], "params": params}})
    ids["listed rest"] = face.made(
        "/sourceConnections", {**rest, "baseConnectionId": account, "params": {"tableName": "x"}}
    )
    ids["port"] = str(face.http.base_url.port)
    delta = {"deltaColumn": {"name": "updated_at"}}
    ids["success"] = face.run(ids["flow"], **delta).json()["id"]
    ids["run of disabled"] = face.run(ids["disabled"], windowStartTime="1", windowEndTime="1", **delta).json()["id"]
    ids["waiting"] = face.run(ids["flow"], startTime="4000000000").json()["id"]
    for name in ("success", "run of disabled"):
        assert _ended(face, ids[name]) == "success"
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


def _ended(face: Face, run_id: str) -> str:
    """The state in which a run ends."""
    until = time.monotonic() + 60
    while time.monotonic() < until:
        status = str(face.get(f"/runs/{run_id}").json()["items"][0]["metrics"]["statusSummary"]["status"])
        if status in ("success", "failed", "cancelled"):
            return status
        time.sleep(0.05)
    raise AssertionError(f"run {run_id} does not end")
