"""What a bad file does to a run: one table, through a real service and its worker.

A row is: its number in the list of bad inputs, what is odd, the files, and how the run ends: `success n` with n rows,
or `failed code`. A run that fails leaves no row, and says the file and the place.
"""

import gzip
import io
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from headgate.engine import Worker
from headgate.sources.files import delimited
from headgate.targets import Lake
from tests.integration.face import FILES, LOCAL_FILES, Face, Json

EVER = {"windowStartTime": 0, "windowEndTime": 4_000_000_000}


@dataclass(frozen=True)
class Case:
    """One row; `files` are contents by name, or a function that makes them in a folder."""

    row: int
    what: str
    format: str
    files: dict[str, bytes] | Callable[[Path], None]
    expect: str
    data: Json = field(default_factory=dict)

    def __str__(self) -> str:
        return f"{self.row} {self.what}"


def parquet(column: pa.Array | None = None) -> bytes:
    """A Parquet file of one column."""
    buffer = io.BytesIO()
    table = pa.table({"a": column if column is not None else pa.array(range(1000))})
    pq.write_table(table, buffer, write_page_checksum=True, compression="none", use_dictionary=False)
    return buffer.getvalue()


def flipped(content: bytes, at: int) -> bytes:
    """`content` with one bit of the byte at `at` changed."""
    return content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :]


def pipe(folder: Path) -> None:
    """A named pipe beside a file: opening it would wait for ever."""
    os.mkfifo(folder / "pipe.csv")
    (folder / "x.csv").write_bytes(b"a\n1\n")


def folder_named_like_a_file(folder: Path) -> None:
    (folder / "y.csv").mkdir()
    (folder / "x.csv").write_bytes(b"a\n1\n")


def link_out_of_the_roots(folder: Path) -> None:
    (folder / "x.csv").symlink_to("/etc/passwd")


READ = "failed CONNECTOR-2001-400"
WIDE = b",".join(b"c%d" % n for n in range(20_000)) + b"\n"
DURATION = parquet(pa.array([1], pa.duration("s")))
NEST = b'{"a": ' + b"[" * 10_000 + b"]" * 10_000 + b"}\n"

TABLE = [
    Case(40, "link out of the roots", "delimited", link_out_of_the_roots, "failed CONNECTOR-1002-403"),
    Case(42, "new line in the name", "delimited", {"a\nb.csv": b"a\n1\n"}, "success 1"),
    Case(42, "emoji in the name", "delimited", {"😀 %0a.csv": b"a\n1\n"}, "success 1"),
    Case(42, "255 bytes of name", "delimited", {"x" * 251 + ".csv": b"a\n1\n"}, "success 1"),
    Case(43, "named pipe", "delimited", pipe, "success 1"),
    Case(43, "folder named like a file", "delimited", folder_named_like_a_file, "success 1"),
    Case(45, "bomb", "delimited", {"x.csv.gz": gzip.compress(b"a\n" + b"1\n" * (8 << 20))}, READ),
    Case(45, "packed twice", "delimited", {"x.csv.gz": gzip.compress(gzip.compress(b"a\n1\n"))}, READ),
    Case(45, "cut off", "delimited", {"x.csv.gz": gzip.compress(os.urandom(1000) + b"\n")[:-100]}, READ),
    Case(46, "empty file", "delimited", {"x.csv": b""}, "success 0"),
    Case(46, "header only", "delimited", {"x.csv": b"a,b\n"}, "success 0"),
    Case(46, "ragged", "delimited", {"x.csv": b"a,b\n1,2\n3\n"}, READ),
    Case(46, "too many values", "delimited", {"x.csv": b"a,b\n1,2\n3,4,5\n"}, READ),
    Case(46, "unclosed quote", "delimited", {"x.csv": b'a,b\n1,"2\n3,4\n'}, READ),
    Case(46, "20,000 columns", "delimited", {"x.csv": WIDE}, "failed *"),
    Case(46, "headers twice", "delimited", {"x.csv": b"a,a\n1,2\n"}, READ),
    Case(46, "byte order mark", "delimited", {"x.csv": b"\xef\xbb\xbfa,b\n1,2\n"}, "success 1"),
    Case(46, "UTF-16", "delimited", {"x.csv": "a,b\n1,2\n".encode("utf-16")}, READ),
    Case(46, "carriage returns only", "delimited", {"x.csv": b"a,b\r1,2\r3,4\r"}, "success 2"),
    Case(46, "NUL", "delimited", {"x.csv": b"a,b\n1,\x00\n"}, "success 1"),
    Case(46, "latin-1 said to be utf-8", "delimited", {"x.csv": b"a\n\xe9\n"}, READ),
    Case(46, "latin-1", "delimited", {"x.csv": b"a\n\xe9\n"}, "success 1", {"properties": {"encoding": "ISO-8859-1"}}),
    Case(47, "truncated", "json", {"x.json": b'{"a": 1}\n{"a": '}, READ),
    Case(47, "another type", "json", {"x.json": b'{"a": 1}\n{"a": [2]}\n'}, "failed *"),
    Case(47, "key twice", "json", {"x.json": b'{"a": 1, "a": 2}\n'}, READ),
    Case(47, "10,000 levels", "json", {"x.json": NEST}, "failed *"),
    Case(47, "top-level scalar", "json", {"x.json": b"5\n"}, READ),
    Case(48, "truncated", "parquet", {"x.parquet": parquet()[:-20]}, READ),
    Case(48, "flipped byte of a page", "parquet", {"x.parquet": flipped(parquet(), 900)}, READ),
    Case(48, "wrong magic", "parquet", {"x.parquet": b"PAR2" * 100}, READ),
    Case(48, "no Parquet at all", "parquet", {"x.parquet": b"a,b\n1,2\n"}, READ),
    Case(
        48,
        "interval, which the lake has not",
        "parquet",
        {"x.parquet": DURATION},
        "failed *",
    ),
]


@pytest.fixture(scope="module")
def metadata() -> str:
    """The embedded default alone: where metadata lie makes no difference to a file."""
    return ""


@pytest.fixture(scope="module")
def working(face: Face) -> Iterator[Face]:
    """The service with a worker beside it."""
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    yield face
    worker.stop()
    lake.close()


@pytest.mark.parametrize("case", TABLE, ids=str)
def test_row(working: Face, case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(delimited, "_MOST_BYTES", 1 << 20)
    folder = working.folder / f"{case.row}-{abs(hash(case.what))}"
    folder.mkdir()
    if callable(case.files):
        case.files(folder)
    else:
        for name, content in case.files.items():
            (folder / name).write_bytes(content)
    source = {
        "name": case.what,
        "connectionSpec": {"id": LOCAL_FILES},
        "data": {"format": case.format, **case.data},
        "params": {"path": str(folder), "type": "folder"},
    }
    made = working.made("/sourceConnections", source)
    flow = working.flow(flowSpec={"id": FILES}, sourceConnectionIds=[made])
    answer = working.post("/runs", {"flowId": flow, "params": EVER})
    assert answer.status_code == 201, answer.text
    run = _ended(working, answer.json()["id"])
    status, _, wanted = case.expect.partition(" ")
    told = run["metrics"]["statusSummary"]
    assert told["status"] == status, told
    if status == "success":
        assert run["metrics"]["recordSummary"]["outputRecordCount"] == int(wanted)
    else:
        [error] = told["errors"]
        assert wanted in ("*", error["code"]), error
        assert "Traceback" not in error["message"]
        assert run["metrics"]["recordSummary"].get("outputRecordCount", 0) == 0
    assert threading.active_count() < 200


def _ended(face: Face, run_id: str) -> Json:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        [run] = face.get(f"/runs/{run_id}").json()["items"]
        if run["metrics"]["statusSummary"]["status"] in ("success", "failed", "cancelled"):
            return dict(run)
        time.sleep(0.02)
    raise AssertionError(f"run {run_id} does not end")
