"""Rows a second of a run that reads a JSON API, from the request to the commit, and the memory it takes.

    python bench/rest.py [--rows 300000] [--rounds 3]

A server in a process of its own gives pages of 1,000 records of twelve members (about 300 bytes each), made beforehand,
by a cursor. The run is a whole one: its rows are in the table, and its window is cut.
"""

import argparse
import multiprocessing
import resource
import socketserver
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import orjson

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.deployment import Deployment  # noqa: E402 - the tests' parts are found below the repository

from headgate.sources import connection_specs, take_manifests  # noqa: E402

PAGE = 1000
START = datetime(2026, 3, 1, tzinfo=UTC)
MANIFEST = """
spec:
  id: 1d7cf9f0-6a0e-4f55-8a7b-0d9f4b7f7a01
  name: bench-api
  title: Bench
  description: Records of a bench.
  category: protocols
  auth: [{name: Token, type: KeyBased, properties: {token: {type: string, format: password}}, required: [token]}]
verified: documented
base: http://127.0.0.1/
auth: {kind: bearer, token: "{token}"}
streams:
  records:
    request: {path: /records}
    records: data
    paging: {kind: cursor, from: next, into: "query:cursor"}
    windows:
      at: {query: {since: "{window.start|iso}", until: "{window.end|iso}"}, grain: second, sides: both}
    key: [id]
    columns:
      id: long
      at: timestamptz
      created: {type: timestamptz, read: epoch_ms}
      amount: decimal(12,2)
      rate: double
      paid: boolean
      currency: string
      note: string
      customer: string
      day: date
      card: "struct<brand: string, country: string>"
      tags: list<string>
"""


def _record(place: int) -> dict[str, Any]:
    at = START + timedelta(milliseconds=200 * place)
    return {
        "id": place,
        "at": at.isoformat(),
        "created": int(at.timestamp() * 1000),
        "amount": f"{place % 10_000}.50",
        "rate": place / 7,
        "paid": place % 3 == 0,
        "currency": "eur",
        "note": f"order {place} of somebody",
        "customer": f"cus_{place % 5000:08}",
        "day": at.date().isoformat(),
        "card": {"brand": "visa", "country": "DE"},
        "tags": ["a", "b"],
    }


class _Pages(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    pages: list[bytes]

    def do_GET(self) -> None:
        place = int(parse_qs(urlsplit(self.path).query).get("cursor", ["0"])[0])
        body = self.pages[place]
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is said."""


def _serve(rows: int, told: Any) -> None:
    _Pages.pages = [
        orjson.dumps(
            {
                "data": [_record(place) for place in range(first, first + PAGE)],
                "next": first // PAGE + 1 if first + PAGE < rows else None,
            }
        )
        for first in range(0, rows, PAGE)
    ]
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Pages) as server:
        told.send(server.server_address[1])
        server.serve_forever()


def main() -> None:
    """Measure, and print the best of the rounds."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    here, there = multiprocessing.get_context("spawn").Pipe()
    server = multiprocessing.get_context("spawn").Process(target=_serve, args=(arguments.rows, there), daemon=True)
    server.start()
    address = f"http://127.0.0.1:{here.recv()}"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench.yaml").write_text(MANIFEST)
        take_manifests(Path(folder))
        spec = next(spec for spec in connection_specs() if spec.name == "bench-api")
        deployment = Deployment(Path(folder))
        flow = deployment.flow(spec.id, {"token": "t", "serviceUrl": address}, {"tableName": "records"})
        seconds = []
        for _ in range(arguments.rounds):
            begun = time.perf_counter()
            run = deployment.run(flow, "2026-03-01T00:00", "2026-04-01T00:00", "at")
            seconds.append(time.perf_counter() - begun)
            assert run.state == "success", run
        deployment.close()
    server.terminate()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    own = resource.getrusage(resource.RUSAGE_SELF)
    print(f"{arguments.rows:,} rows: {arguments.rows / min(seconds):,.0f} rows/s, at most {peak:,.0f} MB")
    cpu = (own.ru_utime + own.ru_stime) / arguments.rounds
    print(f"of its own processor time: {arguments.rows / cpu:,.0f} rows/s")


if __name__ == "__main__":
    main()
