"""SQL Server's TDS 7.4, as [MS-TDS] describes it: login, batches, results, errors, attention. No encryption."""

import select
import socketserver
import struct
import threading
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import pyarrow as pa

from tests.wire import Refusal, Wire

_DONE, _ERROR, _ENVCHANGE, _LOGINACK, _COLMETADATA, _ROW = 0xFD, 0xAA, 0xE3, 0xAD, 0x81, 0xD1
_PRELOGIN, _LOGIN, _BATCH, _ATTENTION = 0x12, 0x10, 0x01, 0x06
_COLLATION = bytes([0x09, 0x04, 0xD0, 0x00, 0x34])
_FIRST = date(1, 1, 1)


class Tds(Wire):
    """A SQL Server that knows one password. `options` are the statements that set something, and have no rows."""

    def __init__(self, answer: Any, password: str = "s3cret") -> None:
        super().__init__(answer)
        self.password = password
        self.logins: list[dict[str, str]] = []

    def serve(self) -> socketserver.BaseServer:
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                while (packet := _packet(self.request)) is not None:
                    answered = wire.attended(self.request, packet) if packet[0] == _BATCH else wire.reply(*packet)
                    if answered is None:
                        return
                    _send(self.request, answered)

        server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Handler, bind_and_activate=False)
        server.daemon_threads = True
        server.server_bind()
        server.server_activate()
        return server

    def attended(self, connection: Any, packet: tuple[int, bytes]) -> bytes | None:
        """The reply to a batch, or to whatever comes while it runs and breaks it off; None when the client is gone."""
        replies: list[bytes] = []
        thread = threading.Thread(target=lambda: replies.append(self.reply(*packet)), daemon=True)
        thread.start()
        while thread.is_alive():
            if select.select([connection], [], [], 0.01)[0]:
                breaking = _packet(connection)
                return None if breaking is None else self.reply(*breaking)
        return replies[0]

    def reply(self, kind: int, data: bytes) -> bytes:
        if kind == _PRELOGIN:
            return _prelogin()
        if kind == _LOGIN:
            return self._login(data)
        if kind == _ATTENTION:
            self.cancelled.set()
            return _done(0x20)
        assert kind == _BATCH, f"a packet of the kind {kind} is not known here"
        statement = data[struct.unpack("<I", data[:4])[0] :].decode("utf-16le")
        try:
            table = self.ask(statement)
        except Refusal as refusal:
            return _error(int(refusal.code), refusal.words) + _done(0x02)
        if not table.num_columns:
            return _done(0)
        return _result(table)

    def _login(self, data: bytes) -> bytes:
        names = ("host", "user", "password", "app", "server", "", "library", "language", "database")
        found = {}
        for at, name in enumerate(names):
            offset, length = struct.unpack_from("<HH", data, 36 + 4 * at)
            found[name] = data[offset : offset + 2 * length]
        # Each byte of the password has its halves swapped and is then combined with 0xA5.
        found["password"] = bytes(((byte ^ 0xA5) << 4 | (byte ^ 0xA5) >> 4) & 0xFF for byte in found["password"])
        login = {name: value.decode("utf-16le") for name, value in found.items() if name}
        self.logins.append(login)
        if login["password"] != self.password:
            return _error(18456, f"Login failed for user '{login['user']}'.") + _done(0x02)
        changes = b"".join(_change(*change) for change in ((1, login["database"], "master"), (4, "4096", "4096")))
        collation = struct.pack("<BHBB", _ENVCHANGE, 8, 7, 5) + _COLLATION + b"\0"
        body = b"\x01" + struct.pack(">I", 0x74000004) + _short("Microsoft SQL Server") + bytes([16, 0, 16, 0])
        return changes + collation + struct.pack("<BH", _LOGINACK, len(body)) + body + _done(0)


def _packet(connection: Any) -> tuple[int, bytes] | None:
    data = b""
    while True:
        head = _exactly(connection, 8)
        if head is None:
            return None
        kind, status, length = struct.unpack(">BBH", head[:4])
        data += _exactly(connection, length - 8) or b""
        if status & 1:
            return kind, data


def _exactly(connection: Any, count: int) -> bytes | None:
    data = b""
    while len(data) < count:
        try:
            part = connection.recv(count - len(data))
        except ConnectionError:
            part = b""
        if not part:
            return None
        data += part
    return data


def _send(connection: Any, data: bytes) -> None:
    parts = [data[at : at + 4088] for at in range(0, len(data), 4088)]
    for number, part in enumerate(parts, 1):
        last = number == len(parts)
        connection.sendall(struct.pack(">BBHHBB", 4, int(last), len(part) + 8, 0, number % 256, 0) + part)


def _prelogin() -> bytes:
    options = ((0, bytes([16, 0, 16, 0, 0, 0])), (1, b"\x02"), (2, b"\x00"), (3, b""), (4, b"\x00"))
    head, body, at = b"", b"", 5 * len(options) + 1
    for key, value in options:
        head += struct.pack(">BHH", key, at + len(body), len(value))
        body += value
    return head + b"\xff" + body


def _short(text: str) -> bytes:
    return struct.pack("B", len(text)) + text.encode("utf-16le")


def _change(kind: int, new: str, old: str) -> bytes:
    body = bytes([kind]) + _short(new) + _short(old)
    return struct.pack("<BH", _ENVCHANGE, len(body)) + body


def _error(number: int, words: str) -> bytes:
    body = struct.pack("<iBBH", number, 1, 16, len(words)) + words.encode("utf-16le") + _short("db") + _short("")
    body += struct.pack("<i", 1)
    return struct.pack("<BH", _ERROR, len(body)) + body


def _done(status: int, rows: int = 0) -> bytes:
    return struct.pack("<BHHQ", _DONE, status, 0xC1, rows)


def _result(table: pa.Table) -> bytes:
    data = struct.pack("<BH", _COLMETADATA, table.num_columns)
    for field in table.schema:
        data += struct.pack("<IH", 0, 0x0009) + _type(field.type) + _short(field.name)
    columns = [[_value(value, column.type) for value in _values(column)] for column in table.columns]
    data += b"".join(bytes([_ROW]) + b"".join(row) for row in zip(*columns, strict=True))
    return data + _done(0x10, table.num_rows)


def _values(column: pa.ChunkedArray) -> list[Any]:
    """Times as counts of 100 ns, which Python's own cannot say."""
    if pa.types.is_timestamp(column.type) or pa.types.is_time(column.type):
        per = {"s": 10**7, "ms": 10**4, "us": 10}
        counts = column.cast(pa.int64()).to_pylist()
        unit = column.type.unit
        return [None if count is None else count // 100 if unit == "ns" else count * per[unit] for count in counts]
    return list(column.to_pylist())


def _type(type_: pa.DataType) -> bytes:
    if pa.types.is_boolean(type_):
        return b"\x68\x01"
    if pa.types.is_integer(type_):
        return b"\x26" + bytes([type_.bit_width // 8])
    if pa.types.is_floating(type_):
        return b"\x6d" + bytes([type_.bit_width // 8])
    if pa.types.is_decimal(type_):
        return b"\x6a\x11" + bytes([type_.precision, type_.scale])
    if pa.types.is_date(type_):
        return b"\x28"
    if pa.types.is_time(type_):
        return b"\x29\x07"
    if pa.types.is_timestamp(type_):
        return b"\x2b\x07" if type_.tz else b"\x2a\x07"
    if pa.types.is_binary(type_) or pa.types.is_large_binary(type_):
        return b"\xa5\xff\xff"
    assert pa.types.is_string(type_) or pa.types.is_large_string(type_) or pa.types.is_null(type_), type_
    return b"\xe7\xff\xff" + _COLLATION


def _value(value: Any, type_: pa.DataType) -> bytes:
    plp = not (pa.types.is_primitive(type_) or pa.types.is_decimal(type_))
    if value is None:
        return b"\xff" * 8 if plp else b"\0"
    if plp:
        data = value.encode("utf-16le") if isinstance(value, str) else value
        return struct.pack("<QI", len(data), len(data)) + data + bytes(4 if data else 0)
    data = _fixed(value, type_)
    return bytes([len(data)]) + data


def _fixed(value: Any, type_: pa.DataType) -> bytes:
    if pa.types.is_integer(type_):
        return int(value).to_bytes(type_.bit_width // 8, "little", signed=not pa.types.is_unsigned_integer(type_))
    if pa.types.is_floating(type_):
        return struct.pack("<d" if type_.bit_width == 64 else "<f", value)
    if isinstance(value, Decimal):
        return bytes([value >= 0]) + int("".join(map(str, value.as_tuple().digits))).to_bytes(16, "little")
    if isinstance(value, bool):
        return bytes([value])
    if isinstance(value, date):
        return (value - _FIRST).days.to_bytes(3, "little")
    if pa.types.is_time(type_):
        return int(value).to_bytes(5, "little")
    days, ticks = divmod(int(value), 86_400 * 10**7)
    day = (date(1970, 1, 1) + timedelta(days) - _FIRST).days
    data = ticks.to_bytes(5, "little") + day.to_bytes(3, "little")
    return data + struct.pack("<h", 0) if type_.tz else data
