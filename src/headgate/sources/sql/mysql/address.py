"""Where a MySQL or MariaDB server is and who reads it: a connection's auth params, parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qsl, unquote, urlsplit

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address", "Tls"]

Tls = Literal["DISABLED", "PREFERRED", "REQUIRED", "VERIFY_CA", "VERIFY_IDENTITY"]

_TLS: Mapping[str, Tls] = {
    **dict.fromkeys(("disabled", "none"), "DISABLED"),
    **dict.fromkeys(("preferred", "prefer"), "PREFERRED"),
    **dict.fromkeys(("required", "require"), "REQUIRED"),
    "verifyca": "VERIFY_CA",
    **dict.fromkeys(("verifyidentity", "verifyfull"), "VERIFY_IDENTITY"),
}
_KEYS = {
    **dict.fromkeys(("server", "host", "data source", "datasource", "address", "addr"), "server"),
    **dict.fromkeys(("database", "initial catalog"), "database"),
    **dict.fromkeys(("uid", "user id", "userid", "username", "user name", "user"), "username"),
    **dict.fromkeys(("password", "pwd"), "password"),
    **dict.fromkeys(("sslmode", "ssl mode", "ssl-mode", "ssl_mode"), "sslMode"),
    "port": "port",
}
# They change neither what is read nor from where; a connection is given up after ten seconds whatever they say.
_IGNORED = frozenset(
    (
        *("connection timeout", "connect timeout", "connectiontimeout", "command timeout", "default command timeout"),
        *("pooling", "min pool size", "minimum pool size", "max pool size", "maximum pool size", "character set"),
        *("charset", "persist security info", "persistsecurityinfo", "application name", "keepalive"),
    )
)
_SINGLE = ("server", "port", "database", "username", "password", "sslMode")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one connection. `tls` is how TLS is used, in MySQL's words."""

    host: str
    database: str
    user: str
    password: str = field(default="", repr=False)
    port: int = 3306
    tls: Tls = "PREFERRED"

    @classmethod
    def of(cls, auth_params: Mapping[str, Any], system: str) -> "Address":
        """The address in `auth_params`: `connectionString`, or `server`, `database`, `username`, `password`, ….

        A connection string is `Server=…;Port=…;Database=…;UID=…;PWD=…` or `mysql://user:password@host:port/database`.
        Raises BadParameter and ParameterMissing naming the key.
        """
        found = address.strings(auth_params)
        if (text := found.pop("connectionString", None)) is not None:
            if found:
                raise BadParameter(f"{min(found)} cannot be sent beside connectionString.", field=min(found))
            url = re.match(r"(?i)(?:mysql|mariadb)://", text)
            found = _from_url(text) if url else address.pairs(text, _KEYS, _IGNORED)
        address.only(found, _SINGLE)
        address.plain(found, ("password",))
        address.required(found, system, "server", "database", "username")
        mode = re.sub(r"[-_ ]", "", found.get("sslMode", "preferred")).lower()
        if mode not in _TLS:
            raise BadParameter(
                f"sslMode is {found['sslMode'][:40]!r}; it must be one of {', '.join(dict.fromkeys(_TLS.values()))}.",
                field="sslMode",
            )
        return cls(
            host=found["server"],
            database=found["database"],
            user=found["username"],
            password=found.get("password", ""),
            port=address.number(found, "port", 3306),
            tls=_TLS[mode],
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)


def _from_url(text: str) -> dict[str, str]:
    unreadable = BadParameter(
        "connectionString cannot be read. Send Server=…;Port=…;Database=…;UID=…;PWD=… or "
        "mysql://user:password@host:port/database.",
        field="connectionString",
    )
    try:
        parts = urlsplit(text)
        port = parts.port
    except ValueError:  # which may quote a piece of the password
        raise unreadable from None
    if parts.fragment or "/" in parts.path[1:] or not parts.hostname:
        raise unreadable
    found = {
        "server": parts.hostname,
        "port": str(port) if port is not None else "",
        "database": unquote(parts.path[1:]),
        "username": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
    }
    for key, value in parse_qsl(parts.query, keep_blank_values=True):
        if _KEYS.get(key.lower()) != "sslMode":
            raise address.refused(key)
        found["sslMode"] = value
    return {key: value for key, value in found.items() if value}
