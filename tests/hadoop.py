"""A name node and a data node that speak WebHDFS as its documentation shows, over a folder, on loopback."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlsplit

_PER_BATCH = 3


@dataclass
class Cluster:
    """What runs: the address of the name node, and what it was asked for."""

    url: str
    asked: list[str] = field(default_factory=list)
    standby: bool = False


@contextmanager
def cluster(root: Path) -> Iterator[Cluster]:
    """A cluster whose root is `root`; it lets in the user `reader`, and any to what is not below `secret`."""
    running = Cluster("")

    class Node(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            path = unquote(parts.path.removeprefix("/webhdfs/v1")) or "/"
            here = root / path.lstrip("/")
            running.asked.append(self.path)
            if running.standby:
                return self._refuse(
                    403, "StandbyException", "Operation category READ is not supported in state standby"
                )
            if "/secret" in path and query.get("user.name") != "reader":
                return self._refuse(403, "AccessControlException", f"Permission denied: user=dr.who, path={path}")
            if not here.exists():
                return self._refuse(404, "FileNotFoundException", f"File does not exist: {path}")
            return getattr(self, f"_{query['op'].lower()}")(here, query)  # type: ignore[no-any-return]

        def _getfilestatus(self, here: Path, _: dict[str, str]) -> None:
            self._json({"FileStatus": _status(here, "")})

        def _liststatus_batch(self, here: Path, query: dict[str, str]) -> None:
            names = sorted(child.name for child in here.iterdir()) if here.is_dir() else [""]
            after = [name for name in names if name > query.get("startAfter", "") or not name]
            page = [_status(here / name, name) for name in after[:_PER_BATCH]]
            listing = {
                "partialListing": {"FileStatuses": {"FileStatus": page}},
                "remainingEntries": max(0, len(after) - _PER_BATCH),
            }
            self._json({"DirectoryListing": listing})

        def _open(self, here: Path, query: dict[str, str]) -> None:
            if self.server is name_node:
                self.send_response(307)
                self.send_header("Location", f"http://127.0.0.1:{data_node.server_port}{self.path}")
                self.send_header("Content-Length", "0")
                self.end_headers()
                return
            start = int(query.get("offset", "0"))
            content = here.read_bytes()[start : start + int(query["length"])]
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def _json(self, document: object, status: int = 200) -> None:
            body = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def _refuse(self, status: int, exception: str, message: str) -> None:
            java = f"org.apache.hadoop.{exception}"
            told = {"exception": exception, "javaClassName": java, "message": message}
            self._json({"RemoteException": told}, status)

        def log_message(self, *_: object) -> None:
            pass

    name_node, data_node = (ThreadingHTTPServer(("127.0.0.1", 0), Node) for _ in range(2))
    threads = [
        threading.Thread(target=node.serve_forever, args=(0.05,), daemon=True) for node in (name_node, data_node)
    ]
    for thread in threads:
        thread.start()
    running.url = f"http://127.0.0.1:{name_node.server_port}"
    try:
        yield running
    finally:
        for node in (name_node, data_node):
            node.shutdown()
            node.server_close()
        for thread in threads:
            thread.join(20)


def _status(path: Path, name: str) -> dict[str, object]:
    about = path.stat()
    folder = path.is_dir()
    return {
        "accessTime": 0,
        "blockSize": 0 if folder else 134217728,
        "fileId": about.st_ino,
        "group": "supergroup",
        "length": 0 if folder else about.st_size,
        "modificationTime": about.st_mtime_ns // 1_000_000,
        "owner": "reader",
        "pathSuffix": name,
        "permission": "644",
        "replication": 0 if folder else 1,
        "type": "DIRECTORY" if folder else "FILE",
    }
