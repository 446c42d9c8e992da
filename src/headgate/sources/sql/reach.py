"""Whether a server listens, asked before a driver is: it says so sooner than one does, and in fewer words."""

import socket
from collections.abc import Sequence

from headgate.errors import SourceUnreachable
from headgate.sources.sql.address import CONNECT_SECONDS

__all__ = ["first_listening"]


def first_listening(system: str, host: str, port: int, reached: Sequence[str]) -> str:
    """The first of the addresses `reached` of `host` that takes a connection. Raises SourceUnreachable."""
    if not reached:
        raise SourceUnreachable(f"{system}: the host {host!r} is not known.")
    reason = ""
    for address in reached:
        try:
            socket.create_connection((address, port), (CONNECT_SECONDS - 2) / len(reached)).close()
        except OSError as error:
            reason = error.strerror or str(error) or type(error).__name__
            continue
        return address
    raise SourceUnreachable(f"{system}: {host} does not answer at port {port} ({reason}).")
