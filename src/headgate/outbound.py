"""Where connections may reach: one policy for every address that a user chose.

A host is judged by the addresses that it resolves to, all of them, and a connection is then made to one of
those addresses and not to the name: a name that resolves to something else a moment later changes nothing.

- Never reached: link-local and metadata addresses, multicast, unspecified and reserved ones, this service itself.
- With one organisation and no HEADGATE_ALLOWED_HOSTS: everything else, loopback and private addresses included.
- With several organisations, or with the setting: only what it lists. A name there admits public addresses;
  a private or loopback address needs an entry of its own, so that no name can be turned against this network.
"""

import ipaddress
import json
import re
import socket
import threading
from dataclasses import dataclass
from urllib.parse import parse_qs, unquote, urlsplit

from headgate.config import Settings
from headgate.errors import HostNotAllowed

__all__ = ["Endpoint", "Outbound"]

_RESOLVE_SECONDS = 5
_SOCKETS = "/var/run/postgresql"  # where libpq looks when no host is named
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}(%[A-Za-z0-9._-]{1,16})?")
_METADATA = frozenset(
    ipaddress.ip_address(text) for text in ("fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192")
)
_THIS_NETWORK = ipaddress.ip_network("0.0.0.0/8")
_EMBEDDING = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("::/96"))  # NAT64; the old compatible form

_Address = ipaddress.IPv4Address | ipaddress.IPv6Address


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A judged URL: connect to one of `addresses`, at `port`, and speak of `host` there (SNI, Host header)."""

    scheme: str
    host: str
    port: int
    addresses: tuple[str, ...]


class Outbound:
    """Judges hosts, URLs and socket folders. `shared` says that more than one organisation is served."""

    def __init__(self, settings: Settings, *, shared: bool) -> None:
        self._settings = settings
        self._strict = shared or bool(settings.allowed_hosts)

    def judge(self, host: str, port: int) -> tuple[str, ...]:
        """The addresses of `host`, all of which may be connected to at `port`.

        Empty when a name that may be reached does not resolve just now. Raises HostNotAllowed.
        """
        if not _HOST.fullmatch(host):
            raise HostNotAllowed(f"{host[:80]!r} is no host; send one name or one address.", host=host[:80])
        addresses = tuple(dict.fromkeys(ipaddress.ip_address(text) for text in _resolve(host)))
        for address in addresses:
            if (reason := self._never(address, port)) is not None:
                raise HostNotAllowed(f"The host {host!r} may not be reached: it is {reason}.", host=host)
        if self._strict:
            self._must_be_listed(host, port, addresses)
        return tuple(str(address) for address in addresses)

    def judge_url(self, url: str, schemes: tuple[str, ...] = ("https", "http")) -> Endpoint:
        """The endpoint of an absolute `url`. Judge every redirect and every next page again. Raises HostNotAllowed."""
        if not (url.isascii() and url.isprintable()) or " " in url or "\\" in url:
            raise HostNotAllowed("The URL holds a character that no URL has.")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise HostNotAllowed("The URL cannot be read.") from None
        if parts.scheme not in schemes:
            raise HostNotAllowed(f"The URL begins with {parts.scheme[:20]!r}; send {' or '.join(schemes)}.")
        if not parts.hostname or parts.username is not None or parts.password is not None or port == 0:
            raise HostNotAllowed("The URL must hold a host, and neither a user, a password nor the port 0.")
        port = port or {"https": 443, "http": 80}.get(parts.scheme, 0)
        return Endpoint(parts.scheme, parts.hostname, port, self.judge(parts.hostname, port))

    def judge_socket(self, folder: str) -> None:
        """Raises HostNotAllowed when the Unix sockets in `folder` may not be used."""
        if self._strict and not any(rule.admits_socket(folder) for rule in self._settings.allowed_hosts):
            raise HostNotAllowed(
                f"The socket folder {folder[:80]!r} is not listed in HEADGATE_ALLOWED_HOSTS.", host=folder[:80]
            )

    def judge_database(self, host: str, port: int, name: str) -> None:
        """Raises HostNotAllowed when the PostgreSQL database `name` there is the one that holds our metadata.

        `host` may be a socket's folder. Whoever runs the service may be let in there without a password.
        """
        parts = urlsplit(self._settings.metadata_url)
        if not parts.scheme.startswith("postgresql"):
            return
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        own = query.get("host") or parts.hostname or _SOCKETS
        if name != unquote(parts.path[1:]) or port != int(query.get("port") or parts.port or 5432):
            return
        if own == host or (_local(own) and _local(host)) or set(_resolve(own)) & set(_resolve(host)):
            raise HostNotAllowed(f"The database {name!r} at {host!r} is this service's own.", host=host)

    def _must_be_listed(self, host: str, port: int, addresses: tuple[_Address, ...]) -> None:
        rules = self._settings.allowed_hosts
        named = any(rule.admits_name(host, port) for rule in rules)
        if not addresses and not named:
            raise _unlisted(host, port)
        for address in addresses:
            plain = _embedded(address) or address
            if not ((named and plain.is_global) or any(rule.admits_address(plain, port) for rule in rules)):
                raise _unlisted(host, port)

    def _never(self, address: _Address, port: int) -> str | None:
        """What `address` is, if it is something that no setting opens."""
        plain = _embedded(address) or address
        if plain.is_link_local or plain in _METADATA:
            return "a link-local or metadata address, which is refused always"
        if plain.is_multicast:
            return "a multicast address, which is refused always"
        if plain.is_unspecified or (plain.version == 4 and plain in _THIS_NETWORK):
            return "an unspecified address, which is refused always"
        if plain.is_reserved and not plain.is_loopback:
            return "a reserved address, which is refused always"
        if port == self._own_port() and (plain.is_loopback or _is_here(plain)):
            return f"this service's own address at port {port}"
        return None

    def _own_port(self) -> int | None:
        note = self._settings.address_note
        try:
            return urlsplit(str(json.loads(note.read_text())["baseUrl"])).port
        except FileNotFoundError:
            return None


def _local(host: str) -> bool:
    """Whether a host, or a folder of sockets, is on this machine; a server may be reached by several of its names."""
    return host.startswith("/") or any(ipaddress.ip_address(text).is_loopback for text in _resolve(host))


def _unlisted(host: str, port: int) -> HostNotAllowed:
    return HostNotAllowed(f"The host {host!r} at port {port} is not listed in HEADGATE_ALLOWED_HOSTS.", host=host)


def _embedded(address: _Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 address stands for."""
    if isinstance(address, ipaddress.IPv4Address):
        return None
    if any(address in network for network in _EMBEDDING) and int(address) > 1:
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else None)


def _is_here(address: _Address) -> bool:
    """Whether `address` is one of this machine's."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True


def _resolve(host: str) -> tuple[str, ...]:
    """Every address of `host`, in whatever form it is written; none when it is not known in a few seconds."""
    found: list[str] = []

    def ask() -> None:
        try:
            answers = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError):
            return
        found.extend(str(answer[4][0]) for answer in answers)

    # The resolver has no time limit of its own; a thread that it keeps is not waited for.
    asking = threading.Thread(target=ask, daemon=True, name="resolve")
    asking.start()
    asking.join(_RESOLVE_SECONDS)
    return tuple(found)
