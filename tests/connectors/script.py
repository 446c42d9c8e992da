"""A tap of Singer, or a connector of Airbyte, that does what its configuration says: run by itself.

    python script.py singer|airbyte …

`act` is what it does once it reads, `records` are what it gives, `schema` what it says of them.
"""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path
from typing import Any

SCHEMA = {
    "type": "object",
    "properties": {
        "id": {"type": ["null", "integer"]},
        "at": {"type": ["null", "string"], "format": "date-time"},
        "price": {"type": "number", "multipleOf": 0.01},
        "tags": {"type": "array", "items": {"type": "string"}},
        "who": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"}}},
        "any": {},
    },
}


def main() -> None:
    protocol, *arguments = sys.argv[1:]
    found = dict(pairwise(arguments))
    config = json.loads(Path(found["--config"]).read_text())
    told = Told(protocol, config, {name: found.get(name) for name in ("--catalog", "--state")})
    if protocol == "singer" and "--discover" in arguments:
        told.catalog()
    elif protocol == "airbyte" and arguments[0] != "read":
        told.check() if arguments[0] == "check" else told.catalog()
    else:
        told.begin()
        getattr(told, config.get("act", "give"))()


class Told:
    def __init__(self, protocol: str, config: dict[str, Any], files: dict[str, str | None]) -> None:
        self.singer, self.config, self.files = protocol == "singer", config, files

    def write(self, message: Any) -> None:
        sys.stdout.write(json.dumps(message) + "\n")
        sys.stdout.flush()

    def record(self, record: Any, stream: str = "events") -> None:
        if self.singer:
            self.write({"type": "RECORD", "stream": stream, "record": record})
        else:
            self.write({"type": "RECORD", "record": {"stream": stream, "data": record, "emitted_at": 1}})

    def catalog(self) -> None:
        if self.config.get("act") == "no_catalog":
            print("what?")
            return
        time.sleep(self.config.get("slow", 0))
        schema = self.config.get("schema", SCHEMA)
        if self.singer:
            about = {"inclusion": "available", "valid-replication-keys": self.config.get("cursors", ["at"])}
            other = {"tap_stream_id": "other", "stream": "other", "schema": SCHEMA, "metadata": []}
            own = {"tap_stream_id": "events", "stream": "events", "schema": schema}
            hidden = {"breadcrumb": ["properties", "hidden"], "metadata": {"inclusion": "unsupported"}}
            print(
                json.dumps({"streams": [{**own, "metadata": [{"breadcrumb": [], "metadata": about}, hidden]}, other]})
            )
            return
        about = {"name": "events", "json_schema": schema, "supported_sync_modes": ["full_refresh", "incremental"]}
        about |= {"source_defined_cursor": True, "default_cursor_field": self.config.get("cursors", ["at"])}
        self.write({"type": "LOG", "log": {"level": "INFO", "message": "looking"}})
        self.write({"type": "CATALOG", "catalog": {"streams": [about, {**about, "name": "other", "namespace": "n"}]}})

    def check(self) -> None:
        good = self.config.get("password") != "wrong"
        status = {"status": "SUCCEEDED"} if good else {"status": "FAILED", "message": f"not with {self.config}"}
        self.write({"type": "CONNECTION_STATUS", "connectionStatus": status})

    def begin(self) -> None:
        print(f"begins with {json.dumps(self.config)}", file=sys.stderr)
        if self.singer and self.config.get("act") != "no_schema":
            self.write({"type": "SCHEMA", "stream": "events", "schema": SCHEMA, "key_properties": ["id"]})
        self.record({"id": -1, "at": "2024-01-01T10:30:00Z"}, "other")
        if "records" in self.config:
            for record in json.loads(Path(self.config["records"]).read_text()):
                self.record(record)

    def give(self) -> None:
        self.write({"type": "STATE", "value": {}, "state": {}})

    no_schema = give

    def tell(self) -> None:
        """What it was given, as records."""
        files = {path.name: oct(path.stat().st_mode) for path in Path().iterdir()}
        given = {name: json.loads(Path(path).read_text()) for name, path in self.files.items() if path}
        about = {
            "environment": dict(os.environ),
            "arguments": sys.argv,
            "files": files,
            "folder": oct(Path().stat().st_mode),
        }
        self.record({"id": 1, "at": "2024-01-01T10:30:00Z", "any": {**about, **given, "config": self.config}})

    def crash(self) -> None:
        print(f"cannot go on with {self.config['password']}", file=sys.stderr)
        sys.exit(3)

    def shot(self) -> None:
        os.kill(os.getpid(), signal.SIGSEGV)

    def endless(self) -> None:
        while True:
            sys.stdout.write("x" * 100_000)

    def talk(self) -> None:
        for _ in range(20_000):
            print("x" * 1000, self.config["password"], file=sys.stderr)
        sys.stderr.write("y" * 3_000_000)

    def garbage(self) -> None:
        print('{"type": "RECORD", "stream": "eve')

    def words(self) -> None:
        print("Some text.")

    def huge(self) -> None:
        self.record({"id": 1, "any": "x" * (17 << 20)})

    def greedy(self) -> None:
        held = [bytearray(10_000_000) for _ in range(100)]
        self.record({"id": len(held)})

    def hang(self) -> None:
        time.sleep(600)

    def deaf(self) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        self.hang()

    def family(self) -> None:
        """A child in a session of its own, with a child, which all hear nothing; and this one, too."""
        code = "import os, signal, time; signal.signal(15, signal.SIG_IGN); os.fork(); time.sleep(600)"
        subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
        self.record({"id": 1, "at": "2024-01-01T10:30:00Z"})
        if self.config.get("then") != "end":
            self.deaf()

    def forever(self) -> None:
        at = 0
        while True:
            at += 1
            self.record({"id": at, "at": "2024-01-01T10:30:00Z"})

    def batch(self) -> None:
        self.write({"type": "BATCH", "stream": "events", "manifest": []})

    def trace(self) -> None:
        error = {"message": "It failed.", "internal_message": f"for {self.config['password']}"}
        error["failure_type"] = self.config.get("failure", "system_error")
        self.write({"type": "TRACE", "trace": {"type": "ERROR", "emitted_at": 1, "error": error}})

    def partly(self) -> None:
        status = {"stream_descriptor": {"name": "events"}, "status": "INCOMPLETE"}
        self.write({"type": "TRACE", "trace": {"type": "STREAM_STATUS", "emitted_at": 1, "stream_status": status}})


main()
