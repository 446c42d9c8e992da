"""A process that commits runs to tables of a warehouse, as a worker does, beside others that do the same.

    python -m tests.committer '{"warehouse": …, "flow": …, "replacing": …, "runs": [[<table>, <run id>], …]}'

It begins when a line comes in, and answers each run with a line: its id and the snapshot that brought it.
"""

import json
import os
import sys
from pathlib import Path

import duckdb

from headgate import faults
from tests.lake_tables import Ingest


def main() -> None:
    """Commit what the argument says."""
    asked = json.loads(sys.argv[1])
    tables: dict[str, Ingest] = {}
    print("ready", flush=True)
    sys.stdin.readline()
    faults.arm(os.environ)
    for number, (name, run_id) in enumerate(asked["runs"]):
        if name not in tables:
            tables[name] = Ingest(Path(asked["warehouse"]), ("org", "prod", name), snapshots=20)
            tables[name].unfinished |= {run for _, run in asked["runs"]}
        window = (number, number + 2) if asked["replacing"] else None
        rows = [(number, run_id), (number + 1, run_id)]
        try:
            landed = tables[name].bring(rows, run_id=run_id, flow_id=asked["flow"], replacing=window)
        except (OSError, duckdb.Error):
            before = tables[name].table.landed(run_id)
            if before is None:
                raise
            landed = before  # by another, who then swept the files of this attempt
        tables[name].table.sweep(run_id)
        print(json.dumps([run_id, landed.snapshot_id]), flush=True)
    for table in tables.values():
        table.close()


main()
