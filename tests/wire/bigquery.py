"""Google's side of BigQuery: the token, the jobs and the catalogue by REST, results by gRPC as Arrow.

The driver cannot be told another address, so that this is a proxy which answers in Google's place, with a certificate
that the driver's process is made to trust. Both are known to that process from its environment alone.
"""

import json
import os
import socketserver
import ssl
import struct
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import h2.config
import h2.connection
import h2.events
import pyarrow as pa
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.wire import Refusal, Wire

_REASONS = {404: "notFound", 403: "accessDenied", 429: "rateLimitExceeded", 400: "invalidQuery"}


def certificate(folder: Path) -> Path:
    """A file with a key and a certificate of Google's names, which is its own authority."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "not Google")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("*.googleapis.com")]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    file = folder / "google.pem"
    file.write_bytes(private + made.public_bytes(serialization.Encoding.PEM))
    return file


class BigQuery(Wire):
    """A Google that knows one refresh token; it listens where HTTPS_PROXY says, with the key in SSL_CERT_FILE."""

    def __init__(self, answer: Any, token: str = "s3cret") -> None:
        super().__init__(answer)
        self.token = token
        self.hosts: set[str] = set()
        self._results: dict[str, pa.Table] = {}

    def serve(self) -> socketserver.BaseServer:
        wire, port = self, urlsplit(os.environ["HTTPS_PROXY"]).port
        contexts = {protocol: _context(protocol) for protocol in ("h2", "http/1.1")}

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                host = self.request.recv(4096).split()[1].decode().partition(":")[0]
                wire.hosts.add(host)
                self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                streams = host.startswith("bigquerystorage")
                try:
                    with contexts["h2" if streams else "http/1.1"].wrap_socket(self.request, server_side=True) as tls:
                        (wire.streams if streams else wire.rest)(tls)
                except OSError:
                    return  # the driver went away

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        return Server(("127.0.0.1", port or 0), Handler)

    def rest(self, connection: ssl.SSLSocket) -> None:
        """HTTP/1.1, one answer to each request."""
        file = connection.makefile("rb")
        while line := file.readline():
            method, path, _ = line.decode().split()
            size = 0
            while header := file.readline().strip():
                key, _, value = header.decode().partition(":")
                size = int(value) if key.lower() == "content-length" else size
            status, said = self._answered(method, path, file.read(size))
            body = json.dumps(said).encode()
            head = f"HTTP/1.1 {status} X\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
            connection.sendall(head.encode() + body)

    def _answered(self, method: str, path: str, body: bytes) -> tuple[int, dict[str, Any]]:
        if path == "/token":
            known = parse_qs(body.decode())["refresh_token"] == [self.token]
            granted = {"access_token": "t", "expires_in": 3600, "token_type": "Bearer"}
            return (200, granted) if known else (400, {"error": "invalid_grant", "error_description": "Bad Request"})
        parts = urlsplit(path).path.split("/")[5:]
        if parts == ["datasets"]:
            shown = [{"datasetReference": {"projectId": "my-project", "datasetId": name}} for name in ("shop", "other")]
            return 200, {"kind": "bigquery#datasetList", "datasets": shown}
        if method == "POST":
            job = json.loads(body)
            id_, query = job["jobReference"]["jobId"], job["configuration"]["query"]
            assert query["useLegacySql"] is False
            try:
                self._results[id_] = self.ask(query["query"])
            except Refusal as refusal:
                code = int(refusal.code)
                errors = [{"reason": _REASONS[code], "message": refusal.words}]
                return code, {"error": {"code": code, "message": refusal.words, "errors": errors}}
            return 200, self._job(id_)
        if parts[0] == "queries":
            return 200, {
                "jobComplete": True,
                "jobReference": self._job(parts[1])["jobReference"],
                **self._shape(parts[1]),
            }
        if parts[0] == "jobs":
            return 200, self._job(parts[1])
        reference = {"projectId": "my-project", "datasetId": parts[1], "tableId": parts[3]}
        return 200, {"kind": "bigquery#table", "tableReference": reference, "type": "TABLE", **self._shape(parts[3])}

    def _job(self, id_: str) -> dict[str, Any]:
        into = {"projectId": "my-project", "datasetId": "_anon", "tableId": id_}
        return {
            "kind": "bigquery#job",
            "jobReference": {"projectId": "my-project", "jobId": id_, "location": "EU"},
            "configuration": {"jobType": "QUERY", "query": {"query": "", "destinationTable": into}},
            "status": {"state": "DONE"},
            "statistics": {"query": {"statementType": "SELECT"}},
        }

    def _shape(self, id_: str) -> dict[str, Any]:
        table = self._results[id_]
        fields = [{"name": name, "type": "STRING", "mode": "NULLABLE"} for name in table.schema.names]
        rows = str(table.num_rows)
        return {"schema": {"fields": fields}, "numRows": rows, "totalRows": rows, "numBytes": str(table.nbytes)}

    def streams(self, connection: ssl.SSLSocket) -> None:
        """HTTP/2 as gRPC uses it."""
        http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding="utf-8"))
        http.initiate_connection()
        connection.sendall(http.data_to_send())
        paths: dict[int, str] = {}
        bodies: dict[int, bytes] = {}
        while data := connection.recv(65536):
            for event in http.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    headers = {str(key): str(value) for key, value in event.headers}
                    paths[event.stream_id], bodies[event.stream_id] = headers[":path"], b""
                elif isinstance(event, h2.events.DataReceived):
                    bodies[event.stream_id] += event.data
                    http.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                elif isinstance(event, h2.events.StreamEnded):
                    id_ = event.stream_id
                    http.send_headers(id_, [(":status", "200"), ("content-type", "application/grpc")])
                    for message in self._messages(paths[id_], bodies[id_][5:]):
                        http.send_data(id_, b"\0" + struct.pack(">I", len(message)) + message)
                    http.send_headers(id_, [("grpc-status", "0")], end_stream=True)
            connection.sendall(http.data_to_send())

    def _messages(self, path: str, body: bytes) -> list[bytes]:
        """The answers in protocol buffers. What is asked for, a table or a stream, holds the id of its job."""
        id_ = next(id_ for id_ in self._results if id_.encode() in body)
        table = self._results[id_]
        if path.endswith("/CreateReadSession"):
            name = f"projects/my-project/locations/eu/sessions/{id_}"
            streams = _field(10, _field(1, f"{name}/streams/0".encode())) if table.num_rows else b""
            schema = _field(5, _field(1, table.schema.serialize().to_pybytes()))
            return [_field(1, name.encode()) + _field(3, 2) + schema + streams + _field(14, table.num_rows)]
        assert path.endswith("/ReadRows"), path
        return [
            _field(4, _field(1, batch.serialize().to_pybytes()) + _field(2, batch.num_rows)) + _field(6, batch.num_rows)
            for batch in table.to_batches()
        ]


def _context(protocol: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(os.environ["SSL_CERT_FILE"])
    context.set_alpn_protocols([protocol])
    return context


def _field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return _varint(number << 3) + _varint(value)
    return _varint(number << 3 | 2) + _varint(len(value)) + value


def _varint(value: int) -> bytes:
    found = b""
    while value > 127:
        found += bytes([value & 127 | 128])
        value >>= 7
    return found + bytes([value])
