"""Calls of receivers: in time, whatever they answer, and by certificates of their names."""

import socket
import ssl
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from headgate.config import Settings
from headgate.engine import Receivers, receivers
from headgate.engine.receivers import ReceiverFailed
from headgate.errors import ChallengeFailed
from headgate.outbound import Outbound
from tests.receiving import receiving


def dripping(connection: socket.socket) -> None:
    """Answer a byte at a time, without an end."""
    connection.recv(65536)
    try:
        connection.sendall(b"HTTP/1.1 200 OK\r\nX: ")
        while not _over.wait(0.02):
            connection.sendall(b"x")
    except OSError:
        return


def gibberish(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"hello\r\n\r\n")


_over = threading.Event()


@pytest.mark.parametrize("answer", [dripping, gibberish])
def test_a_call_ends_in_time_whatever_is_answered(answer: Callable[[socket.socket], None], tmp_path: Path) -> None:
    _over.clear()
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            connection, _ = listening.accept()
            with connection:
                answer(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        calls = Receivers(Outbound(Settings(data=tmp_path), shared=False), 0.3)
        with pytest.raises(ReceiverFailed):
            calls.post(f"http://127.0.0.1:{listening.getsockname()[1]}/", b"{}", {})
        _over.set()
        thread.join()


def test_a_challenge_follows_no_redirect(tmp_path: Path) -> None:
    calls = Receivers(Outbound(Settings(data=tmp_path), shared=False), 5)
    with receiving() as receiver:
        receiver.challenged = "redirect"
        with pytest.raises(ChallengeFailed, match="with 302"):
            calls.challenge(f"{receiver.address}/hook")
    assert len(receiver.asked) == 1


@pytest.mark.parametrize(
    ("host", "known", "reason"),
    [("localhost", True, None), ("127.0.0.1", True, "IP address mismatch"), ("localhost", False, "self-signed")],
)
def test_the_certificate_must_be_the_names(
    certificate: Path, host: str, known: bool, reason: str | None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(certificate)
    if known:
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    receivers._tls.cache_clear()
    calls = Receivers(Outbound(Settings(data=tmp_path), shared=False), 5)
    try:
        with receiving(tls=tls) as receiver:
            url = f"https://{host}:{receiver.address.rpartition(':')[2]}/hook"
            if reason is None:
                assert calls.post(url, b"{}", {}) == 204
                assert receiver.posts[0][0]["host"] == url.removeprefix("https://").removesuffix("/hook")
            else:
                with pytest.raises(ReceiverFailed, match=reason):
                    calls.post(url, b"{}", {})
    finally:
        receivers._tls.cache_clear()
