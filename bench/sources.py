"""Rows a second of every source whose system runs here, as the conformance suite fills and reads it.

    python bench/sources.py [--rows 300000] [--only postgresql sqlite …] [--write]

Rows of an integer, a timestamp, a decimal (or a double) and a text, of one table or of one CSV file, through plan and
splits (two at a time, as a worker reads them) into Parquet files. Each source has one round that does not count and
three that do; the best stands. `--write` puts the figures into docs/reference/rates.json, which the reference shows.
"""

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

from rich.console import Console

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.conformance.systems import SYSTEMS  # noqa: E402

from headgate import dataplane  # noqa: E402 - the tests' kits are found below the repository
from headgate.dataplane import literal  # noqa: E402
from headgate.sources import Selection, Source  # noqa: E402
from headgate.testing.source_suite import TableKit  # noqa: E402
from headgate.testing.source_suite.reading import ALWAYS  # noqa: E402

RATES = ROOT / "docs" / "reference" / "rates.json"
ROUNDS = 3


def main() -> None:
    """Measure the sources one after another, and print what they took."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--only", nargs="+", choices=tuple(SYSTEMS), default=tuple(SYSTEMS))
    parser.add_argument("--write", action="store_true")
    arguments = parser.parse_args()
    console = Console(width=120)
    rates: dict[str, int] = json.loads(RATES.read_text()) if RATES.exists() else {}
    for name in arguments.only:
        with _filled(name, arguments.rows) as (opened, selection):
            rates[name] = round(
                arguments.rows / min(_read(opened(), selection, arguments.rows) for _ in range(ROUNDS + 1))
            )
        console.print(f"{name:28} {rates[name]:12,} rows/s")
    if arguments.write:
        RATES.write_text(json.dumps(dict(sorted(rates.items())), indent=2) + "\n")


@contextmanager
def _filled(name: str, rows: int) -> Iterator[tuple[Callable[[], Source], Selection]]:
    """The system `name` with the rows in it: what opens its source, and what selects them."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="headgate-bench-")))
        kit = SYSTEMS[name](folder, stack)
        if isinstance(kit, TableKit):
            number = "decimal(18,4)" if "decimal(18,4)" in kit.types else "double"
            columns = {"n": "long", "at": "timestamp", "amount": number, "name": "string"}
            made = (row if number != "double" else (*row[:2], float(row[2]), row[3]) for row in _rows(rows))
            yield kit.open, kit.table("rates", columns, list(made))
        else:
            text = "".join(f"{n},{at.isoformat(' ')},{amount},{name}\n" for n, at, amount, name in _rows(rows))
            kit.put("rates/rows.csv", ("n,at,amount,name\n" + text).encode())
            yield kit.open, Selection({"path": "rates/rows.csv"}, {"format": "delimited"})


def _rows(count: int) -> Iterator[tuple[Any, ...]]:
    start = datetime(2024, 1, 1)
    for n in range(count):
        yield n, start + timedelta(seconds=n), Decimal(n * 7 % 1_000_003) / 100, f"customer number {n % 10_007}"


def _read(source: Source, selection: Selection, wanted: int) -> float:
    """Seconds from plan to the last Parquet file."""
    with tempfile.TemporaryDirectory() as folder:
        began = time.perf_counter()
        with source.plan(selection, ALWAYS, None, parallel=2) as reading:

            def copy(split: Any) -> int:
                with dataplane.lent(threads=1 if len(reading.splits) > 1 else 2) as connection:
                    source.prepare(connection, reading, split)
                    query = f"COPY ({split.relation}) TO {literal(f'{folder}/{split.id}.parquet')} (FORMAT parquet)"
                    found = connection.execute(query).fetchone()
                source.verify(split)
                return int(found[0]) if found else 0

            with ThreadPoolExecutor(2) as pool:
                copied = sum(pool.map(copy, reading.splits))
        took = time.perf_counter() - began
    if copied != wanted:
        sys.exit(f"{copied} rows of {wanted} were read")
    return took


if __name__ == "__main__":
    main()
