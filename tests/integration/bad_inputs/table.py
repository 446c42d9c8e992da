"""What a bad request, or a bad file, is answered with: one table, gone through against a real server.

Every case begins with its row (1 to 80) and what is odd about it, says what is sent, and what comes of it. `{name}` in
an address or a body stands for an id of the `World`.

- `Request`: one request; expects `status code`. The code is the last part of the error's type, or the gateway's own;
  `-` is an answer that is no error, `*` any code.
- `Files`: files in the folder of a source, and a run over them; expects `success n` with n rows, or `failed code`.
- `Procedure`: what takes more than one request. The function plays it and gives back the answers; expects the
  `status code` of each, in this order. A `Deployment` is a procedure with a service of its own.

`test_table` holds the table together; `test_requests`, `test_files` and `test_procedures` go through it.
"""

import gzip
import os
import time
from typing import Any

import pyarrow as pa

from tests.integration import test_api_gateway as tokens
from tests.integration.bad_inputs import procedures
from tests.integration.bad_inputs.bodies import (
    ANY,
    BOMB,
    DEEP,
    JSON,
    LONG,
    NEST,
    SCHEDULE,
    WIDE,
    XML,
    archive,
    database,
    files,
    flipped,
    flow,
    folder_named_like_a_file,
    link_out_of_the_roots,
    parquet,
    patch,
    pipe,
    postgresql,
    pql,
    run,
    string,
    with_password,
)
from tests.integration.bad_inputs.cases import Deployment, Files, Procedure, Request, every
from tests.integration.face import DATALAKE, NOBODY, SQLITE, TABLES, WINDOW, Face


def forged(row: int, *names: str) -> list[Request]:
    """A request with each of these forged tokens."""
    return [Request(row, name, "GET /flows", "401 401013", token=tokens.FORGED[name]) for name in names]


def just_expired(face: Face) -> str:
    """A token within the minute that clocks may differ by."""
    return tokens.signed(face, exp=int(time.time()) - 30)


NO_PARAMS: tuple[Any, ...] = ({}, [], "x", None)
EXPLORE = "/connections/{connection}/explore?objectType=table&object=orders&preview=true"
READ = "failed CONNECTOR-2001-400"
UTF_16 = {"properties": {"encoding": "UTF-16"}}
OPENPGP = bytes.fromhex("8c0d040903025047a6acf302fa78ffd2")  # what `gpg --symmetric` begins with
# A frame whose header asks for the window 2^31, and no block.
ZSTD_2_GIB = bytes.fromhex("28b52ffd00a8")

TABLE: list[Request | Files | Procedure | Deployment] = [
    Request(1, "no token", "GET /flows", "403 403010", headers={"authorization": None}),
    Request(2, "no API key", "GET /flows", "403 403000", headers={"x-api-key": None}),
    Request(2, "unknown API key", "GET /flows", "403 403003", headers={"x-api-key": "nobody"}),
    Request(3, "no organisation", "GET /flows", "400 400003", headers={"x-gw-ims-org-id": None}),
    Request(3, "empty organisation", "GET /flows", "400 400003", headers={"x-gw-ims-org-id": ""}),
    Request(4, "another's organisation", "GET /flows", "403 403025", headers={"x-gw-ims-org-id": "{other org}"}),
    Request(5, "unknown sandbox", "GET /flows", "404 FLOW-2100-404", headers={"x-sandbox-name": "nowhere"}),
    Request(5, "no sandbox: the default one", "GET /flows?limit=1", "200 -", headers={"x-sandbox-name": None}),
    Request(5, "every sandbox", "GET /flows", "403 FLOW-2111-403", headers={"x-sandbox-name": "*"}),
    Request(5, "sandbox id of a user", "GET /flows", "400 FLOW-2110-400", headers={"x-sandbox-id": NOBODY}),
    *forged(6, "expired"),
    Request(6, "expired half a minute ago", "GET /flows?limit=1", "200 -", token=just_expired),
    *forged(7, "not yet"),
    *forged(8, "none", "NONE", "nOnE"),
    *forged(9, "HS256 by the public key"),
    *forged(10, "RS256"),
    *forged(11, "another audience", "another issuer", "no audience", "no exp"),
    *forged(12, "jku", "x5u", "embedded jwk"),
    *forged(13, "another key"),
    Deployment(13, "1,000 unknown keys are one fetch", procedures.unknown_keys, "401 401013"),
    *forged(14, "kid with a path", "kid with SQL"),
    Request(15, "truncated token", "GET /flows", "401 401013", token=lambda face: tokens.signed(face)[:-9]),
    Request(15, "four parts", "GET /flows", "401 401013", token=lambda face: f"{tokens.signed(face)}.x"),
    Request(15, "no Base64", "GET /flows", "401 401013", token=lambda _face: "a.b!.c"),
    Request(15, "lower-case scheme", "GET /flows", "401 401013", headers={"authorization": "bearer abc"}),
    Request(15, "two spaces", "GET /flows", "401 401013", headers={"authorization": "Bearer  abc"}),
    *(
        Request(
            16, f"{method} {kind} of another", f"{method} /{kind}/{{other {kind}}}", "404 FLOW-1439-404", body, head
        )
        for kind in ("connections", "sourceConnections", "targetConnections", "flows")
        for method, body, head in (
            ("GET", None, {}),
            ("PATCH", patch("replace", "/name", "x"), ANY),
            ("DELETE", None, {}),
        )
    ),
    Request(16, "run of another", "GET /runs/{other run}", "404 FLOW-1439-404"),
    Request(16, "cancel another's run", "POST /runs/{other run}/action?op=cancel", "404 FLOW-1439-404"),
    Request(16, "disable another's flow", "POST /flows/{other flows}/action?op=disable", "404 FLOW-1439-404"),
    Request(16, "run another's flow", "POST /runs", "400 FLOW-1430-400", run("{other flows}")),
    Procedure(
        17,
        "principal that may only read",
        procedures.only_reading,
        "200 -, 403 FLOW-2121-403, 403 FLOW-2121-403, 403 FLOW-2121-403",
    ),
    *every(
        18, "malformed", "POST /flows", "400 BadRequestError", b"{", b"[]", b'"x"', b"{'a': 1}", b"{,}", headers=JSON
    ),
    *every(18, "empty", "POST /flows", "400 FLOW-1405-400", b"", b"null", b" \n", headers=JSON),
    Request(19, "no content type", "POST /flows", "400 BadRequestError", b"{}"),
    Request(19, "another content type", "POST /flows", "400 BadRequestError", b"{}", {"content-type": "text/plain"}),
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
    Request(21, "2 MiB", "POST /flows", "413 FLOW-1100-413", b'{"name": "' + b"x" * 2**21 + b'"}', JSON),
    Procedure(21, "body that does not arrive", procedures.slow_body, "400 BadRequestError"),
    Request(22, "unknown address", "GET /nothing", "404 FLOW-1101-404"),
    Request(22, "wrong method", "PUT /flows", "405 FLOW-1100-405"),
    Request(22, "trailing slash", "POST /runs/", "201 -", run("{flow}")),
    *every(23, "id", "GET /flows/{}", "404 FLOW-1439-404", "nonsense", "5A0F4C1E-0004-4000-8000-000000000004", "%00"),
    Request(23, "id that climbs", "GET /flows/..%2fruns", "404 FLOW-1439-404"),
    Request(24, "unknown parameter", "GET /flows?colour=red", "400 FLOW-1451-400"),
    *every(25, "limit", "GET /flows?limit={}", "400 CONNECTOR-1394-400", "0", "-1"),
    Request(25, "limit is a text", "GET /flows?limit=x", "400 FLOW-1452-400"),
    Request(25, "huge limit", "GET /flows?limit=1000000000", "200 -"),
    Request(26, "count with limit: lenient", "GET /flows?count=true&limit=1", "200 -"),
    *every(27, "orderby", "GET /flows?orderby={}", "400 FLOW-1433-400", "nope", "name;drop table runs"),
    Request(27, "orderby prefix", "GET /flows?orderby=*id", "400 FLOW-1432-400"),
    Request(28, "pattern", "GET /flows?property=id~x", "400 FLOW-1440-400"),
    Request(28, "order of ids", "GET /flows?property=id>5", "400 FLOW-1448-400"),
    Request(28, "no value", "GET /flows?property=createdAt==", "400 FLOW-1453-400"),
    Request(28, "order of several", "GET /flows?property=createdAt>=1,2", "400 FLOW-1443-400"),
    Request(28, "unknown field", "GET /flows?property=nope==1", "400 FLOW-1449-400"),
    Request(29, "SQL as a name", "GET /flows?property=name==' or 1=1;--", "200 -"),
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
    Deployment(33, "name that answers publicly, then privately", procedures.rebinding, "201 -, 400 FLOW-EXT-HOST-400"),
    Procedure(34, "REST source that is sent elsewhere", procedures.redirected_odata, "400 *"),
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
    Request(36, "our own port", "POST /connections", "400 *", postgresql(server="127.0.0.1", port="{port}")),
    *every(37, "port", "POST /connections", "400 *", *(postgresql(port=port) for port in (0, 65536, "22;rm"))),
    *(
        Request(
            38, f"webhook to {host}", "POST /webhooks", "400 FLOW-EXT-HOST-400", {"name": "w", "url": f"http://{host}"}
        )
        for host in ("10.0.0.1", "127.0.0.1:{port}", "169.254.169.254", "2130706433", "[::ffff:10.0.0.1]")
    ),
    Deployment(38, "webhook that redirects", procedures.redirecting_webhook, "400 FLOW-EXT-WEBHOOK-400"),
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
    Files(40, "link out of the roots", "delimited", link_out_of_the_roots, "failed CONNECTOR-1002-403"),
    *every(
        41, "unbalanced wildcard", "POST /sourceConnections", "400 CONNECTOR-1312-400", files("[abc.csv"), files("x[")
    ),
    Files(42, "new line in the name", "delimited", {"a\nb.csv": b"a\n1\n"}, "success 1"),
    Files(42, "emoji in the name", "delimited", {"😀 %0a.csv": b"a\n1\n"}, "success 1"),
    Files(42, "255 bytes of name", "delimited", {"x" * 251 + ".csv": b"a\n1\n"}, "success 1"),
    Files(43, "named pipe", "delimited", pipe, "success 1"),
    Files(43, "folder named like a file", "delimited", folder_named_like_a_file, "success 1"),
    # Names in archives name no place, and links are passed over.
    *(
        Files(44, f"archive with {what}", "delimited", {"x.zip": content}, "success 1")
        for what, content in (
            ("a name that climbs", archive("../../x.csv")),
            ("an absolute name", archive("/x.csv")),
            ("a link", archive("a.csv", link="/etc/passwd")),
        )
    ),
    Files(44, "archive in an archive", "delimited", {"x.zip": archive("inner.tar")}, READ),
    Files(44, "archive said to be text", "delimited", {"x.csv": archive("a.csv")}, READ),
    Files(44, "archive with a password", "delimited", {"x.zip": with_password(archive("a.csv"))}, READ),
    Request(
        44,
        "encrypted",
        "POST /sourceConnections",
        "400 CONNECTOR-1312-400",
        files("a.csv", isFileEncrypted=True),
    ),
    Files(44, "OpenPGP", "delimited", {"x.csv": OPENPGP}, READ),
    Files(45, "bomb", "delimited", {"x.csv.gz": gzip.compress(b"a\n" + b"1\n" * (8 << 20))}, READ),
    Files(45, "packed twice", "delimited", {"x.csv.gz": gzip.compress(gzip.compress(b"a\n1\n"))}, READ),
    Files(45, "cut off", "delimited", {"x.csv.gz": gzip.compress(os.urandom(1000) + b"\n")[:-100]}, READ),
    Files(45, "bomb in an archive", "delimited", {"x.zip": archive("a.csv", text=b"a\n" + b"1\n" * (8 << 20))}, READ),
    Files(45, "archive of 10,001 files", "delimited", {"x.csv.zip": archive(*map(str, range(10_001)))}, READ),
    Files(45, "zstd with a window of 2 GiB", "delimited", {"x.csv.zst": ZSTD_2_GIB}, READ),
    *every(
        46,
        "delimiter",
        "POST /sourceConnections",
        "400 CONNECTOR-1331-400",
        files("a.csv", columnDelimiter=";;"),
        files("a.csv", columnDelimiter=""),
    ),
    Request(46, "encoding", "POST /sourceConnections", "400 CONNECTOR-1312-400", files("a.csv", encoding="utf-7")),
    Files(46, "empty file", "delimited", {"x.csv": b""}, "success 0"),
    Files(46, "header only", "delimited", {"x.csv": b"a,b\n"}, "success 0"),
    Files(46, "ragged", "delimited", {"x.csv": b"a,b\n1,2\n3\n"}, READ),
    Files(46, "too many values", "delimited", {"x.csv": b"a,b\n1,2\n3,4,5\n"}, READ),
    Files(46, "unclosed quote", "delimited", {"x.csv": b'a,b\n1,"2\n3,4\n'}, READ),
    Files(46, "20,000 columns", "delimited", {"x.csv": WIDE}, "failed *"),
    Files(46, "headers twice", "delimited", {"x.csv": b"a,a\n1,2\n"}, READ),
    Files(46, "byte order mark", "delimited", {"x.csv": b"\xef\xbb\xbfa,b\n1,2\n"}, "success 1"),
    Files(46, "UTF-16 said to be utf-8", "delimited", {"x.csv": "a,b\n1,2\n".encode("utf-16")}, READ),
    Files(46, "UTF-16", "delimited", {"x.csv": "a,b\n1,2\n".encode("utf-16")}, "success 1", UTF_16),
    Files(46, "UTF-16, half a character", "delimited", {"x.csv": b"\xff\xfea\0\n\0\x00\xd8\n\0"}, READ, UTF_16),
    Files(46, "carriage returns only", "delimited", {"x.csv": b"a,b\r1,2\r3,4\r"}, "success 2"),
    Files(46, "NUL", "delimited", {"x.csv": b"a,b\n1,\x00\n"}, "success 1"),
    Files(46, "latin-1 said to be utf-8", "delimited", {"x.csv": b"a\n\xe9\n"}, READ),
    Files(46, "latin-1", "delimited", {"x.csv": b"a\n\xe9\n"}, "success 1", {"properties": {"encoding": "ISO-8859-1"}}),
    Files(47, "truncated", "json", {"x.json": b'{"a": 1}\n{"a": '}, READ),
    Files(47, "another type", "json", {"x.json": b'{"a": 1}\n{"a": [2]}\n'}, "failed *"),
    Files(47, "key twice", "json", {"x.json": b'{"a": 1, "a": 2}\n'}, READ),
    Files(47, "10,000 levels", "json", {"x.json": NEST}, "failed *"),
    Files(47, "top-level scalar", "json", {"x.json": b"5\n"}, READ),
    Files(48, "truncated", "parquet", {"x.parquet": parquet()[:-20]}, READ),
    Files(48, "flipped byte of a page", "parquet", {"x.parquet": flipped(parquet(), 900)}, READ),
    Files(48, "encrypted", "parquet", {"x.parquet": b"PARE" + parquet()[4:-4] + b"PARE"}, READ),
    Files(48, "Avro, cut off", "avro", {"x.avro": b"Obj\x01\x02\x16avro.schema"}, READ),
    Files(48, "ORC, cut off", "orc", {"x.orc": b"ORC" + bytes(100)}, READ),
    Files(48, "wrong magic", "parquet", {"x.parquet": b"PAR2" * 100}, READ),
    Files(48, "no Parquet at all", "parquet", {"x.parquet": b"a,b\n1,2\n"}, READ),
    Files(
        48,
        "interval, which the lake has not",
        "parquet",
        {"x.parquet": parquet(pa.array([1], pa.duration("s")))},
        "failed *",
    ),
    # Specifications come with the service, and no OData source can run yet: no document of others is parsed.
    Request(49, "YAML", "POST /connectionSpecs", "400 BadRequestError", b"a: &a [*a]", {"content-type": "text/yaml"}),
    *(
        Request(49, f"XML bomb to {method} {path}", f"{method} /{path}", expect, BOMB, XML)
        for method, path, expect in (
            ("POST", "connectionSpecs", "400 BadRequestError"),
            ("POST", "flowSpecs", "400 BadRequestError"),
            ("PUT", f"connectionSpecs/{SQLITE}", "400 BadRequestError"),
            ("PUT", f"flowSpecs/{TABLES}", "400 BadRequestError"),
        )
    ),
    Procedure(49, "OData document with a bomb", procedures.odata_bomb, "400 *"),
    Request(50, "PATCH without If-Match", "PATCH /flows/{flow}", "400 FLOW-1403-400", patch("replace", "/name", "n")),
    Request(
        50, "stale", "PATCH /flows/{flow}", "412 FLOW-1404-412", patch("replace", "/name", "n"), {"if-match": '"x"'}
    ),
    Request(50, "any version", "PATCH /flows/{flow}", "200 -", patch("replace", "/name", "n"), ANY),
    *every(
        51,
        "op",
        "PATCH /flows/{flow}",
        "400 FLOW-1434-400",
        patch("move", "/name"),
        patch("test", "/name"),
        headers=ANY,
    ),
    Request(51, "bad path", "PATCH /flows/{flow}", "400 CONNECTOR-1365-400", patch("add", "name", "x"), ANY),
    Request(51, "missing member", "PATCH /flows/{flow}", "400 FLOW-1455-400", patch("remove", "/labels/3"), ANY),
    Request(51, "needed member", "PATCH /flows/{flow}", "400 CONNECTOR-1304-400", patch("remove", "/name"), ANY),
    Request(
        51,
        "index below zero",
        "PATCH /flows/{flow}",
        "400 CONNECTOR-1365-400",
        patch("add", "/sourceConnectionIds/-1", "x"),
        ANY,
    ),
    Request(51, "10,000 ops", "PATCH /flows/{flow}", "400 *", patch("replace", "/name", "n") * 10_000, ANY),
    *(
        Request(52, path, "PATCH /connections/{connection}", f"400 {code}", patch("replace", path, "x"), ANY)
        for path, code in (
            ("/connectionSpec", "FLOW-1414-400"),
            ("/id", "CONNECTOR-1365-400"),
            ("/imsOrgId", "CONNECTOR-1365-400"),
            ("/createdBy", "CONNECTOR-1365-400"),
            ("/__proto__", "CONNECTOR-1365-400"),
            ("/auth/specName", "FLOW-1415-400"),
        )
    ),
    Procedure(53, "two changes of one version", procedures.two_changes, "200 -, 412 FLOW-1404-412"),
    Request(54, "connection in use", "DELETE /connections/{connection}", "400 FLOW-1418-400"),
    Request(54, "source in use", "DELETE /sourceConnections/{source}", "400 FLOW-1447-400"),
    Request(54, "nobody's", f"DELETE /connections/{NOBODY}", "404 FLOW-1439-404"),
    Request(
        55, "unknown spec", "POST /connections", "400 FLOW-1413-400", {"name": "x", "connectionSpec": {"id": NOBODY}}
    ),
    Request(
        55,
        "another's auth spec",
        "POST /connections",
        "400 FLOW-1415-400",
        {**database("x"), "auth": {"specName": "Basic Authentication", "params": {}}},
    ),
    Request(
        55,
        "missing parameter",
        "POST /connections",
        "400 CONNECTOR-1304-400",
        {**database("x"), "auth": {"specName": "Database File", "params": {}}},
    ),
    Request(55, "parameter of another type", "POST /connections", "400 CONNECTOR-1312-400", postgresql(database=5)),
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
        Request(58, f"filters {filters}", f"GET {EXPLORE}&filters={filters}", f"400 {code}")
        for filters, code in (
            ("!!!", "CONNECTOR-1389-400"),
            ("bm8ganNvbg==", "CONNECTOR-1349-400"),  # "no json"
            (pql("=", "nothing", 1), "CONNECTOR-1378-400"),
            (pql("=", "id", "text"), "CONNECTOR-1379-400"),
            (pql("~", "id", 1), "CONNECTOR-1351-400"),
        )
    ),
    Request(
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
    Request(
        59,
        "another's source",
        "POST /flows",
        "404 FLOW-1439-404",
        flow(sourceConnectionIds=["{other sourceConnections}"]),
    ),
    Request(60, "no source", "POST /flows", "400 CONNECTOR-1320-400", flow(sourceConnectionIds=[])),
    Request(
        60, "two sources", "POST /flows", "400 CONNECTOR-1321-400", flow(sourceConnectionIds=["{source}", "{source}"])
    ),
    Request(
        60,
        "target is no lake",
        "POST /targetConnections",
        "400 CONNECTOR-1307-400",
        {"name": "x", "connectionSpec": {"id": SQLITE}, "params": {"dataSetId": "{dataset}"}},
    ),
    Request(
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
        Request(
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
    Request(
        61,
        "interval of once",
        "POST /flows",
        "400 CONNECTOR-1361-400",
        flow(
            scheduleParams={"startTime": "1612310466", "frequency": "once", "interval": 0},
        ),
    ),
    Request(
        61,
        "backfill of once",
        "POST /flows",
        "400 CONNECTOR-1364-400",
        flow(
            scheduleParams={"startTime": "1612310466", "frequency": "once", "backfill": True},
        ),
    ),
    Request(61, "no delta column", "POST /flows", "400 CONNECTOR-1367-400", flow(scheduleParams=SCHEDULE)),
    Request(
        61,
        "delta column of once",
        "POST /flows",
        "400 CONNECTOR-1369-400",
        flow(
            transformations=[{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}],
        ),
    ),
    Request(
        62,
        "unknown mapping set",
        "POST /flows",
        "400 FLOW-1419-400",
        flow(
            transformations=[{"name": "Mapping", "params": {"mappingId": "f" * 32, "mappingVersion": 0}}],
        ),
    ),
    *(
        Request(63, f"flowId {id_!r}", "POST /runs", "400 FLOW-1446-400", {"flowId": id_, "params": WINDOW})
        for id_ in (None, "", 5)
    ),
    Request(63, "unknown flow", "POST /runs", "400 FLOW-1430-400", run(NOBODY)),
    *every(
        64,
        "params",
        "POST /runs",
        "400 CONNECTOR-1384-400",
        *({"flowId": "{flow}", "params": params} for params in NO_PARAMS),
    ),
    Request(65, "reversed", "POST /runs", "400 CONNECTOR-1381-400", run(windowStartTime="2", windowEndTime="1")),
    Request(65, "empty window", "POST /runs", "201 -", run(windowStartTime="2", windowEndTime="2")),
    *(
        Request(66, f"time {value!r}", "POST /runs", "400 CONNECTOR-1340-400", run(windowStartTime=value))
        for value in ("yesterday", "", -1, "2024-03-01T00:00:00Z", 10**18, True)
    ),
    Request(66, "milliseconds", "POST /runs", "201 -", run(windowStartTime=1709251200000)),
    Request(67, "in the year 2493", "POST /runs", "201 -", run(windowEndTime="16515859567")),
    Request(68, "first run without delta column", "POST /runs", "400 CONNECTOR-1383-400", run("{fresh}")),
    Request(68, "another delta column", "POST /runs", "400 CONNECTOR-1382-400", run(deltaColumn={"name": "created"})),
    Request(68, "the same delta column", "POST /runs", "201 -", run(deltaColumn={"name": "updated_at"})),
    *(
        Request(
            69,
            f"delta column {name[:20]!r}",
            "POST /runs",
            "400 CONNECTOR-1384-400",
            run("{fresh}", deltaColumn={"name": name}),
        )
        for name in ("nothing", "payload", "total", "id;drop table", "x" * 65536)
    ),
    Procedure(
        70, "two first runs by different delta columns", procedures.two_first_runs, "201 -, 400 CONNECTOR-1382-400"
    ),
    Request(71, "scheduled flow", "POST /runs", "400 CONNECTOR-1386-400", run("{scheduled}")),
    Request(71, "disabled flow", "POST /runs", "400 FLOW-1444-400", run("{disabled}")),
    Request(71, "draft", "POST /runs", "400 FLOW-1444-400", run("{draft}")),
    Request(
        71,
        "source that cannot run",
        "POST /flows",
        "400 CONNECTOR-1385-400",
        flow(
            sourceConnectionIds=["{listed source}"],
        ),
    ),
    Request(
        72, "re-trigger a success with rows", "POST /runs/{success}/action?op=re-trigger", "400 CONNECTOR-1387-400"
    ),
    Request(72, "re-trigger a waiting run", "POST /runs/{waiting}/action?op=re-trigger", "400 CONNECTOR-1387-400"),
    Request(
        72,
        "re-trigger on a disabled flow",
        "POST /runs/{run of disabled}/action?op=re-trigger",
        "400 CONNECTOR-1388-400",
    ),
    Request(72, "unknown action", "POST /runs/{success}/action?op=bogus", "400 CONNECTOR-1401-400"),
    Request(72, "no action", "POST /runs/{success}/action", "400 CONNECTOR-1401-400"),
    Request(73, "cancel a finished run", "POST /runs/{success}/action?op=cancel", "400 FLOW-1422-400"),
    Request(73, "cancel", "POST /runs/{waiting}/action?op=cancel", "200 -"),
    Request(73, "cancel again", "POST /runs/{waiting}/action?op=cancel", "200 -"),
    Request(74, "PUT by a user", "PUT /runs/{success}", "400 FLOW-1427-400", {"flowId": "{flow}"}, ANY),
    Request(75, "long idempotency key", "POST /runs", "400 FLOW-1452-400", run(), {"idempotency-key": "k" * 300}),
    Request(75, "key", "POST /runs", "201 -", run(), {"idempotency-key": "table"}),
    Request(
        75, "key with another body", "POST /runs", "400 FLOW-1452-400", run(startTime="1"), {"idempotency-key": "table"}
    ),
    Deployment(
        76,
        "more runs than allowed",
        procedures.many_runs,
        "201 -, 201 -, 429 FLOW-EXT-LIMIT-429, 429 FLOW-EXT-LIMIT-429",
    ),
    Request(77, "20 kB header", "GET /flows", "431 *", headers={"x-odd": "x" * 20_000}),
    Request(
        78, "spoofed host", "GET /flows?limit=1", "200 -", headers={"host": "evil.example", "x-forwarded-host": "evil"}
    ),
    Procedure(79, "markup in a name", procedures.markup, "200 -"),
    Deployment(80, "storage down", procedures.storage_down, "503 FLOW-1103-503, 503 FLOW-1103-503"),
]
