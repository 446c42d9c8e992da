"""Files of stores on this machine: rows a second of a CSV and a Parquet file, and how long a long listing takes.

python bench/stores.py
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import duckdb

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.deployment import Deployment
from tests.emulators import answer, azurite, blob_container, moto, s3_bucket

from headgate.config import Settings
from headgate.outbound import Outbound
from headgate.sources.files.stores.amazon import AmazonAccount, AmazonKeys
from headgate.sources.files.stores.objects import ObjectStore

LOCAL, S3, BLOB = (
    "c3a1b7e4-5d92-4f86-8e0b-2a6d91f47c52",
    "ecadc60c-7455-4d87-84dc-2a0e293d997b",
    "4c10e202-c428-4796-9208-5f1f5732b1cf",
)
ROWS = int(os.environ.get("ROWS", "2000000"))
ROUNDS = 3


def main() -> None:
    if sys.argv[1:] == ["--listing"]:
        _give_out_a_listing()
        return
    _list()
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        _make(folder)
        places = dict(_places(stack, folder))
        for format_, file in (("delimited", "a.csv"), ("parquet", "a.parquet")):
            best: dict[str, tuple[float, float]] = {}
            for number in range(ROUNDS):
                for place, (spec, auth, path) in places.items():
                    took = _run(folder, spec, auth, f"{path}{file}", format_, f"{place}_{format_}_{number}")
                    best[place] = min(best.get(place, (9e9, 9e9)), took)
            for place, (wall, cpu) in best.items():
                print(f"{format_:10} {place:6} {ROWS / wall:12,.0f} rows/s {ROWS / cpu:12,.0f} rows per CPU second")


def _list() -> None:
    """List 100,000 objects; the server is another process, whose answers are ready."""
    with (
        tempfile.TemporaryDirectory() as name,
        subprocess.Popen([sys.executable, __file__, "--listing"], stdout=subprocess.PIPE, text=True) as server,
    ):
        assert server.stdout is not None
        address = f"http://127.0.0.1:{int(server.stdout.readline())}"
        keys = AmazonKeys.of("amazon", {"s3AccessKey": "k", "s3SecretKey": "s", "serviceUrl": address})
        store = ObjectStore(AmazonAccount(keys, Outbound(Settings(data=Path(name)), shared=False)))
        for _ in range(ROUNDS):
            start, cpu = time.perf_counter(), time.process_time()
            found = sum(1 for _ in store.below("s3://bench/in"))
            took, used = time.perf_counter() - start, time.process_time() - cpu
            print(f"{found:,} objects listed in {took:.2f} s, {used:.2f} s CPU")
        server.kill()


def _give_out_a_listing() -> None:
    pages = []
    for page in range(100):
        items = "".join(
            f"<Contents><Key>in/part-{page:04}-{n:04}.csv</Key><LastModified>2026-01-01T10:00:00.000Z</LastModified>"
            f"<ETag>&quot;{n:032x}&quot;</ETag><Size>{n + 1}</Size></Contents>"
            for n in range(1000)
        )
        more = "true" if page < 99 else "false"
        token = f"<NextContinuationToken>{page + 1}</NextContinuationToken>" if page < 99 else ""
        pages.append(f"<ListBucketResult><IsTruncated>{more}</IsTruncated>{token}{items}</ListBucketResult>".encode())

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            asked = parse_qs(urlsplit(self.path).query).get("continuation-token", ["0"])
            answer(self, 200, pages[int(asked[0])])

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    print(server.server_port, flush=True)
    server.serve_forever()


def _make(folder: Path) -> None:
    with duckdb.connect() as connection:
        connection.execute(
            f"""CREATE TABLE t AS SELECT i AS id, 'customer ' || i % 10007 AS name, (i * 7 % 100000) / 100 AS amount,
            i % 13 AS kind, DATE '2024-01-01' + (i % 365)::INT AS day,
            TIMESTAMP '2024-01-01' + INTERVAL (i) SECOND AS at, random() AS ratio FROM range({ROWS}) AS r(i)"""
        )
        connection.execute(f"COPY t TO '{folder}/a.csv' (HEADER)")
        connection.execute(f"COPY t TO '{folder}/a.parquet'")


def _places(stack: ExitStack, folder: Path) -> Iterator[tuple[str, tuple[str, dict[str, Any], str]]]:
    yield "local", (LOCAL, {"folder": str(folder)}, "")
    s3 = s3_bucket(stack.enter_context(moto()), "bench")
    azure = blob_container(stack.enter_context(azurite()), "bench")
    for place, bucket in (("moto", s3), ("azurite", azure)):
        for file in ("a.csv", "a.parquet"):
            bucket.put(file, (folder / file).read_bytes())
        yield place, (bucket.spec, bucket.auth["params"], "bench/")


@contextmanager
def _deployed(folder: Path) -> Iterator[Deployment]:
    made = Deployment(folder, file_roots=(folder.parent,))
    try:
        yield made
    finally:
        made.close()


def _run(folder: Path, spec: str, auth: dict[str, Any], path: str, format_: str, name: str) -> tuple[float, float]:
    with _deployed(folder / name) as deployment:
        flow = deployment.flow(spec, auth, {"path": path}, data={"format": format_}, kind="file")
        before, start = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        run = deployment.run(flow, "2020-01-01", "2100-01-01")
        took, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_SELF)
        assert run.metrics["recordSummary"]["outputRecordCount"] == ROWS, run.metrics
        return took, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


if __name__ == "__main__":
    main()
