"""Oracle's TNS and TTC as a server of version 12.1 speaks them to a thin client: login, queries, errors, breaks.

Large objects, booleans and what came after that version are left out.
"""

import hashlib
import os
import select
import socketserver
import struct
import threading
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from tests.wire import Refusal, Wire

_CONNECT, _ACCEPT, _REFUSE, _DATA, _MARKER = 1, 2, 4, 6, 12
_BREAK, _RESET = 1, 2
_LOGIN_ONE, _LOGIN_TWO, _EXECUTE, _LOGOFF, _ROLLBACK, _COMMIT = 118, 115, 94, 9, 15, 14
_CLOSE_CURSORS = 105
_VARCHAR, _NUMBER, _DATE, _RAW, _BINARY_FLOAT, _BINARY_DOUBLE, _TIMESTAMP = 1, 2, 12, 23, 100, 101, 180
_STATUS = b"\x09\0\0"


class Oracle(Wire):
    """An Oracle with one service, `shop`, that knows one password."""

    def __init__(self, answer: Callable[[str], pa.Table], password: str = "s3cret") -> None:
        super().__init__(answer)
        self.password = password
        self.descriptors: list[str] = []

    def serve(self) -> socketserver.BaseServer:
        wire = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                _Client(wire, self.request).serve()

        class Server(socketserver.ThreadingTCPServer):
            daemon_threads = True

        return Server(("127.0.0.1", 0), Handler)


class _Client:
    """One client's connection."""

    def __init__(self, wire: Oracle, connection: Any) -> None:
        self._wire, self._connection = wire, connection
        self._salt, self._half = os.urandom(10), os.urandom(48)

    def serve(self) -> None:
        packet = self._packet(short=True)
        if packet is None or packet[0] != _CONNECT:
            return
        descriptor = packet[1][66:].decode()
        if not descriptor:  # a long one follows
            packet = self._packet(short=True)
            descriptor = packet[1][2:].decode() if packet else ""
        self._wire.descriptors.append(descriptor)
        if "(SERVICE_NAME=shop)" not in descriptor:
            code = b"12505" if "(SID=" in descriptor else b"12514"
            words = (
                b"(DESCRIPTION=(TMP=)(VSNNUM=0)(ERR=" + code + b")(ERROR_STACK=(ERROR=(CODE=" + code + b")(EMFI=4))))"
            )
            self._send(_REFUSE, b"\0\0" + struct.pack(">H", len(words)) + words, short=True)
            return
        accepted = struct.pack(">HH", 315, 0) + bytes(20) + struct.pack(">I", 32767)
        self._send(_ACCEPT, accepted, short=True)
        while (packet := self._packet()) is not None:
            kind, body = packet
            if kind == _DATA and len(body) > 2:
                answered = self._answered(body[2:])
                if answered is None:
                    return
                self._send(_DATA, b"\0\0" + answered)

    def _packet(self, *, short: bool = False) -> tuple[int, bytes] | None:
        head = self._exactly(8)
        if head is None:
            return None
        size = struct.unpack(">H", head[:2])[0] if short else struct.unpack(">I", head[:4])[0]
        body = self._exactly(size - 8)
        return None if body is None else (head[4], body)

    def _exactly(self, count: int) -> bytes | None:
        data = b""
        while len(data) < count:
            try:
                part = self._connection.recv(count - len(data))
            except ConnectionError:
                part = b""
            if not part:
                return None
            data += part
        return data

    def _send(self, kind: int, body: bytes, *, short: bool = False) -> None:
        size = len(body) + 8
        length = struct.pack(">HH", size, 0) if short else struct.pack(">I", size)
        self._connection.sendall(length + struct.pack(">BBH", kind, 0, 0) + body)

    def _answered(self, message: bytes) -> bytes | None:
        said = _Reader(message)
        kind = said.byte()
        if kind == 1:
            return _protocol()
        if kind == 2:
            return b"\x02\0\0"
        while kind == 17:  # what is sent along with a call: cursors to close
            assert said.byte() == _CLOSE_CURSORS
            said.skip(2)
            for _ in range(said.number()):
                said.number()
            kind = said.byte()
        assert kind == 3, message
        function = said.byte()
        said.skip(1)
        if function in (_LOGOFF, _ROLLBACK, _COMMIT):
            return _STATUS
        if function == _LOGIN_ONE:
            return self._challenge()
        if function == _LOGIN_TWO:
            return self._admitted(said)
        assert function == _EXECUTE, function
        return self._executed(said)

    def _challenge(self) -> bytes:
        key = hashlib.sha1(self._wire.password.encode() + self._salt, usedforsecurity=False).digest() + bytes(4)
        return _parameters(
            {
                "AUTH_SESSKEY": _aes(key).encryptor().update(self._half).hex().upper(),
                "AUTH_VFR_DATA": self._salt.hex().upper(),
            }
        )

    def _admitted(self, said: "_Reader") -> bytes:
        said.skip(1)
        said.number()
        said.number()
        said.skip(1)
        pairs = said.number()
        said.skip(2)
        said.text()
        found = {}
        for _ in range(pairs):
            said.number()
            name = said.text()
            found[name] = said.text() if said.number() else ""
            said.number()
        key = hashlib.sha1(self._wire.password.encode() + self._salt, usedforsecurity=False).digest() + bytes(4)
        other = _aes(key).decryptor().update(bytes.fromhex(found["AUTH_SESSKEY"]))
        mixed = bytes(mine ^ theirs for mine, theirs in zip(self._half, other, strict=True))[16:40]
        parts = (mixed[:16], mixed[16:])
        session = b"".join(hashlib.md5(part, usedforsecurity=False).digest() for part in parts)[:24]
        sent = _aes(session).decryptor().update(bytes.fromhex(found["AUTH_PASSWORD"]))
        if sent[16 : -sent[-1]] != self._wire.password.encode():
            return _error(1017, "ORA-01017: invalid username/password; logon denied")
        proof = _aes(session).encryptor().update(os.urandom(16) + b"SERVER_TO_CLIENT")
        return _parameters(
            {
                "AUTH_SVR_RESPONSE": proof.hex().upper(),
                **{"AUTH_VERSION_NO": str(0x0C100200), "AUTH_SESSION_ID": "1", "AUTH_SERIAL_NUM": "1"},
                **{"AUTH_SC_DBUNIQUE_NAME": "shop", "AUTH_SC_DB_DOMAIN": "", "AUTH_SC_SERVICE_NAME": "shop"},
                **{"AUTH_INSTANCENAME": "shop", "AUTH_MAX_OPEN_CURSORS": "300", "AUTH_SC_REAL_DBUNIQUE_NAME": "shop"},
                **{"AUTH_DBNAME": "shop", "AUTH_MAX_IDEN_LENGTH": "128", "AUTH_SC_SERVER_HOST": "db"},
            }
        )

    def _executed(self, said: "_Reader") -> bytes | None:
        said.number()
        assert said.number() == 0, "a statement is executed once"
        said.skip(1)
        said.number()
        said.skip(1)
        said.number()
        said.skip(2)
        said.number()
        rows = said.number()
        for numbers, skipped in ((1, 1), (1, 6), (2, 3), (1, 1), (2, 1), (1, 1)):
            for _ in range(numbers):
                said.number()
            said.skip(skipped)
        return self._asked(said.text(), rows)

    def _asked(self, statement: str, rows: int) -> bytes | None:
        """The rows of a statement; an interrupt breaks it off."""
        found: list[bytes] = []

        def ask() -> None:
            try:
                table = self._wire.ask(statement)
            except Refusal as refusal:
                found.append(_error(int(refusal.code), f"ORA-{int(refusal.code):05d}: {refusal.words}"))
                return
            assert table.num_rows < rows or not table.num_columns
            found.append(_result(table) if table.num_columns else _error(0, ""))

        thread = threading.Thread(target=ask, daemon=True)
        thread.start()
        while thread.is_alive():
            if not select.select([self._connection], [], [], 0.01)[0]:
                continue
            if self._packet() is None:
                return None
            self._wire.cancelled.set()
            self._send(_MARKER, bytes([1, 0, _BREAK]))
            while (packet := self._packet()) is not None and packet != (_MARKER, bytes([1, 0, _RESET])):
                pass
            self._send(_MARKER, bytes([1, 0, _RESET]))
            return _error(1013, "ORA-01013: user requested cancel of current operation")
        return found[0]


class _Reader:
    """What a client sent."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def byte(self) -> int:
        self._at += 1
        return self._data[self._at - 1]

    def skip(self, count: int) -> None:
        self._at += count

    def number(self) -> int:
        size = self.byte()
        self._at += size
        return int.from_bytes(self._data[self._at - size : self._at], "big")

    def text(self) -> str:
        size = self.byte()
        if size != 0xFE:
            self._at += size
            return self._data[self._at - size : self._at].decode()
        parts = []
        while size := self.number():
            self._at += size
            parts.append(self._data[self._at - size : self._at])
        return b"".join(parts).decode()


def _aes(key: bytes) -> Cipher[modes.CBC]:
    return Cipher(algorithms.AES(key), modes.CBC(bytes(16)))


def _number(value: int) -> bytes:
    data = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return bytes([len(data)]) + data


def _bytes(value: bytes) -> bytes:
    if len(value) < 0xFD:
        return bytes([len(value)]) + value
    return b"\xfe" + _number(len(value)) + value + b"\0"


def _text(value: str) -> bytes:
    data = value.encode()
    return _number(len(data)) + (_bytes(data) if data else b"")


def _protocol() -> bytes:
    form = bytes(9) + struct.pack(">H", 2000)
    can = bytearray(54)
    can[7] = 7  # fields as of version 12.1
    start = b"\x01\x06\0not Oracle\0" + struct.pack("<HBHH", 873, 1, 0, len(form) << 8)
    return start + form + _bytes(bytes(can)) + _bytes(bytes(11))


def _parameters(pairs: dict[str, str]) -> bytes:
    data = b"\x08" + _number(len(pairs))
    for key, value in pairs.items():
        data += _text(key) + _text(value) + _number(0xB152 if key == "AUTH_VFR_DATA" else 0)
    return data + _STATUS


def _error(number: int, words: str, cursor: int = 0) -> bytes:
    data = b"\x04" + bytes(6) + _number(cursor) + bytes(1 + 6 + 5 + 1 + 2 + 1 + 1 + 1 + 1 + 1 + 1)
    return data + _number(number) + _number(0) + (_bytes(words.encode()) if number else b"")


def _result(table: pa.Table) -> bytes:
    data = b"\x10\0" + _number(1000) + _number(table.num_columns) + b"\0"
    for at, field in enumerate(table.schema, 1):
        kind, precision, scale, size = _described(field)
        data += bytes([kind, 0]) + struct.pack("bb", precision, scale) + _number(size) + bytes(4) + _number(873)
        data += bytes([kind == _VARCHAR]) + _number(size) + b"\1\0" + _text(field.name) + bytes(2)
        data += _number(at) + _number(0)
    data += bytes(6) + b"\x06" + bytes(7)
    kinds = [_described(field)[0] for field in table.schema]
    columns = [
        [_value(value, kind) for value in column.to_pylist()] for column, kind in zip(table.columns, kinds, strict=True)
    ]
    data += b"".join(b"\x07" + b"".join(row) for row in zip(*columns, strict=True))
    return data + _error(1403, "ORA-01403: no data found", cursor=7)


def _described(field: pa.Field) -> tuple[int, int, int, int]:
    """The number of a type, its precision, its scale and the size of its values."""
    type_ = field.type
    if pa.types.is_decimal(type_):
        return _NUMBER, type_.precision, type_.scale, 22
    if pa.types.is_integer(type_):
        return _NUMBER, 9 if type_.bit_width < 64 else 18, 0, 22
    if pa.types.is_floating(type_):
        return (_BINARY_DOUBLE, 0, 0, 8) if type_.bit_width == 64 else (_BINARY_FLOAT, 0, 0, 4)
    if pa.types.is_timestamp(type_):
        return (_DATE, 0, 0, 7) if type_.unit == "s" else (_TIMESTAMP, 0, 6, 11)
    if pa.types.is_binary(type_):
        return _RAW, 0, 0, 2000
    assert pa.types.is_string(type_) or pa.types.is_null(type_), type_
    return _VARCHAR, 0, 0, 4000


def _value(value: Any, kind: int) -> bytes:
    if value is None:
        return b"\0"
    if isinstance(value, str):
        return _bytes(value.encode())
    if isinstance(value, bytes):
        return _bytes(value)
    if kind == _NUMBER:
        return _bytes(_oracle_number(Decimal(value)))
    if isinstance(value, float):
        raw = struct.pack(">d" if kind == _BINARY_DOUBLE else ">f", value)
        return _bytes(bytes(byte ^ 0xFF for byte in raw) if raw[0] & 0x80 else bytes([raw[0] | 0x80]) + raw[1:])
    assert isinstance(value, datetime | date)
    at = value if isinstance(value, datetime) else datetime(value.year, value.month, value.day)
    data = bytes(
        [at.year // 100 + 100, at.year % 100 + 100, at.month, at.day, at.hour + 1, at.minute + 1, at.second + 1]
    )
    return _bytes(data + struct.pack(">I", at.microsecond * 1000) if kind == _TIMESTAMP else data)


def _oracle_number(value: Decimal) -> bytes:
    """A number in base 100, as Oracle writes it: an exponent and digits, which count down below zero."""
    if not value:
        return b"\x80"
    whole, _, part = format(value.copy_abs(), "f").partition(".")
    whole, part = whole.lstrip("0"), part.rstrip("0")
    text = whole.rjust(len(whole) + len(whole) % 2, "0") + part.ljust(len(part) + len(part) % 2, "0")
    digits = [int(text[at : at + 2]) for at in range(0, len(text), 2)]
    exponent = (len(whole) + 1) // 2
    while digits[0] == 0:
        digits, exponent = digits[1:], exponent - 1
    while digits[-1] == 0:
        digits.pop()
    if value > 0:
        return bytes([exponent + 192, *(digit + 1 for digit in digits)])
    end = b"\x66" if len(digits) < 20 else b""
    return bytes([63 - exponent, *(101 - digit for digit in digits)]) + end
