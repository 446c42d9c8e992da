"""A guarded way out for libraries that look hosts up by themselves and follow redirects."""

import base64
import http.client
import re
import secrets
import socket
import threading
import weakref
from contextlib import suppress

from headgate.errors import HeadgateError, HostNotAllowed
from headgate.outbound import Outbound

__all__ = ["Tunnel"]

_CONNECT_SECONDS = 5
_LONGEST_HEAD = 65_536
_PIECE = 262_144
_TARGET = re.compile(r"(?:http://)?(\[[^\]]+\]|[^/:\[\]@]+)(?::(\d{1,5}))?(/.*)?")
_OF_THE_WAY = (b"proxy-", b"connection:")
_LENGTH = re.compile(rb"(?im)^content-length: *(\d+)")


class Tunnel:
    """A proxy on loopback through which one store is reached, at `hosts` and nowhere else.

    Every connection goes to an address that `outbound` judged, so neither a redirect nor a name that means
    something else by now leads away. `trouble` says why the last connection was not made; None when it was.
    """

    def __init__(self, outbound: Outbound) -> None:
        self._hosts: dict[tuple[str, int], tuple[str, ...]] = {}
        self._admitted: set[str] = set()
        self._outbound = outbound
        self._word = secrets.token_urlsafe(24)
        self._lock = threading.Lock()
        self._port = 0
        self.trouble: HeadgateError | OSError | None = None

    def admit(self, url: str) -> None:
        """Let connections through to the host and port of `url`. Raises HostNotAllowed."""
        if url not in self._admitted:
            endpoint = self._outbound.judge_url(url)
            self._hosts[endpoint.host, endpoint.port] = endpoint.addresses
            self._admitted.add(url)

    @property
    def url(self) -> str:
        """The proxy's address, to give to a client. It listens from now on, until nobody holds the tunnel."""
        with self._lock:
            if not self._port:
                listener = socket.create_server(("127.0.0.1", 0), backlog=128)
                self._port = listener.getsockname()[1]
                threading.Thread(target=_serve, args=(listener, weakref.ref(self)), daemon=True, name="tunnel").start()
                weakref.finalize(self, _stop, listener)
        return f"http://headgate:{self._word}@127.0.0.1:{self._port}"

    def open(self, target: str, head: bytes) -> socket.socket:
        """A connection to the host of `target`, if whoever sent `head` may have it.

        Raises HostNotAllowed, OSError.
        """
        try:
            reached = self._connected(target, head)
        except (HeadgateError, OSError) as error:
            self.trouble = error
            raise
        self.trouble = None
        return reached

    def _connected(self, target: str, head: bytes) -> socket.socket:
        if (found := _TARGET.fullmatch(target)) is None:
            raise HostNotAllowed(f"{target[:80]!r} is no address of a store.")
        host, port = found[1].strip("[]").lower(), int(found[2] or 80)
        # A client that is sent on to another host leaves the proof out, too.
        known = secrets.compare_digest(_proof(head), base64.b64encode(f"headgate:{self._word}".encode()))
        if not known or (host, port) not in self._hosts:
            raise HostNotAllowed(
                f"The store sends its reader on to {host[:80]!r}, which is not followed.", host=host[:80]
            )
        failure = OSError(f"the host {host!r} is not known")
        for anew in (False, True):
            addresses = self._outbound.judge(host, port) if anew else self._hosts[host, port]
            for address in addresses:
                try:
                    reached = socket.create_connection((address, port), _CONNECT_SECONDS)
                except OSError as error:
                    failure = error
                    continue
                self._hosts[host, port] = (address, *(other for other in addresses if other != address))
                return reached
        raise failure


def _serve(listener: socket.socket, tunnel: "weakref.ref[Tunnel]") -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=_pass, args=(client, tunnel), daemon=True, name="tunnel").start()


def _stop(listener: socket.socket) -> None:
    with suppress(OSError):
        listener.shutdown(socket.SHUT_RDWR)  # wakes who accepts
    listener.close()


def _pass(client: socket.socket, held: "weakref.ref[Tunnel]") -> None:
    """Serve one connection of the client: to one host, for as long as both sides keep it."""
    with client:
        try:
            client.settimeout(_CONNECT_SECONDS)
            head, rest = _head(client)
            tunnel = held()
            if tunnel is None:
                return
            server = tunnel.open(_target(head), head)
        except (HeadgateError, OSError, ValueError) as error:
            status = 403 if isinstance(error, HeadgateError) else 502
            with suppress(OSError):
                client.sendall(
                    f"HTTP/1.1 {status} {http.client.responses[status]}\r\n"
                    "Content-Length: 0\r\nConnection: close\r\n\r\n".encode()
                )
            return
        del tunnel
        with server, suppress(OSError):
            for side in (client, server):
                side.settimeout(None)
                side.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if head.startswith(b"CONNECT "):
                client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
                server.sendall(rest)
                there = threading.Thread(target=_relay, args=(client, server), daemon=True, name="tunnel")
            else:
                there = threading.Thread(
                    target=_requests, args=(client, server, head, rest), daemon=True, name="tunnel"
                )
            there.start()
            _relay(server, client)
            with suppress(OSError):
                client.shutdown(socket.SHUT_RDWR)  # wakes who sends
            there.join()


def _requests(client: socket.socket, server: socket.socket, head: bytes, rest: bytes) -> None:
    """Send the requests of one connection on, as a server expects them that is spoken to without a proxy.

    It ends, and the connection with it, when one is for another host than the first.
    """
    host = _TARGET.fullmatch(_target(head))
    with suppress(OSError, ValueError):
        while (
            host is not None and (found := _TARGET.fullmatch(_target(head))) and found.group(1, 2) == host.group(1, 2)
        ):
            left = int(_LENGTH.findall(head)[0]) if _LENGTH.search(head) else 0
            server.sendall(_direct(head, found[3] or "/"))
            while left > 0:
                piece = rest[:left] or client.recv(min(left, _PIECE))
                if not piece:
                    return
                server.sendall(piece)
                rest, left = rest[len(piece) :], left - len(piece)
            head, rest = _head(client, rest)
    with suppress(OSError):
        server.shutdown(socket.SHUT_RDWR)


def _head(client: socket.socket, got: bytes = b"") -> tuple[bytes, bytes]:
    """The head of a request, and what has come of its body. Raises OSError."""
    while b"\r\n\r\n" not in got:
        piece = client.recv(_LONGEST_HEAD)
        if not piece or len(got) > _LONGEST_HEAD:
            raise ConnectionError("no request came")
        got += piece
    head, _, rest = got.partition(b"\r\n\r\n")
    return head, rest


def _proof(head: bytes) -> bytes:
    found = re.search(rb"(?im)^proxy-authorization: *basic +([A-Za-z0-9+/=]+)", head)
    return found[1] if found else b""


def _target(head: bytes) -> str:
    _, target, _ = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    return target


def _direct(head: bytes, path: str) -> bytes:
    """The head without what is between the client and us."""
    line, *headers = head.split(b"\r\n")
    kept = [header for header in headers if not header.lower().startswith(_OF_THE_WAY)]
    return b"\r\n".join([line.split(b" ")[0] + b" " + path.encode("latin-1") + b" HTTP/1.1", *kept, b"", b""])


def _relay(from_: socket.socket, to: socket.socket) -> None:
    """Send what comes from one side to the other until it ends."""
    buffer = bytearray(_PIECE)
    view = memoryview(buffer)
    with suppress(OSError):
        while size := from_.recv_into(buffer):
            to.sendall(view[:size])
    with suppress(OSError):
        to.shutdown(socket.SHUT_WR)
