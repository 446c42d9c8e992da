"""Where a PostgreSQL is and who reads it: a connection's auth params, parsed once."""

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from headgate.errors import BadParameter, ParameterMissing

__all__ = ["Address"]

CONNECT_SECONDS = 10

_ALLOWED = ("host", "port", "dbname", "user", "password", "sslmode", "connect_timeout", "application_name")
_SSL_MODES = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_PAIRS_KEYS = {
    "server": "host",
    "host": "host",
    "database": "dbname",
    "db": "dbname",
    "port": "port",
    "uid": "user",
    "user id": "user",
    "username": "user",
    "password": "password",
    "pwd": "password",
    "encryptionmethod": "encryptionmethod",
    "validateservercertificate": "validateservercertificate",
}
_SINGLE_KEYS = {
    "server": "host",
    "database": "dbname",
    "username": "user",
    "password": "password",
    "port": "port",
    "sslMode": "sslmode",
}
_IS_PAIRS = re.compile(r"(?i)(?:^|;)\s*(?:server|database|uid)\s*=")
_PAIR = re.compile(r"\s*([^=;]+?)\s*=\s*(?:\{((?:[^}]|\}\})*)\}|((?!\{)[^;]*?))\s*(?:;|$)")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one PostgreSQL connection. `host` may be the folder of a Unix socket."""

    host: str
    dbname: str
    user: str
    password: str = field(default="", repr=False)
    port: int = 5432
    sslmode: str | None = None
    connect_timeout: int = CONNECT_SECONDS
    application_name: str = "headgate"

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `connectionString`, or `server`, `database`, `username`, `password`, ….

        A connection string is `Server=…;Database=…;UID=…` (a value with a semicolon in braces), libpq's
        `host=… dbname=…`, or `postgresql://…`. Raises BadParameter and ParameterMissing naming the key.
        """
        params = {key: value for key, value in auth_params.items() if value is not None}
        if "connectionString" in params:
            found = _from_string(str(params.pop("connectionString")))
            if params:
                raise BadParameter(f"{min(params)} cannot be sent beside connectionString.", field=min(params))
        else:
            for key in params:
                if key not in _SINGLE_KEYS:
                    raise _refused(key)
            found = {_SINGLE_KEYS[key]: str(value) for key, value in params.items()}
        return cls._checked(found)

    @classmethod
    def _checked(cls, found: Mapping[str, str]) -> "Address":
        for key, name in (("host", "server"), ("dbname", "database"), ("user", "username")):
            if not found.get(key):
                raise ParameterMissing(f"The connection to PostgreSQL needs its {name}.", field=name)
        for key, value in found.items():
            if "\0" in value or (key != "password" and not value.isprintable()):
                raise BadParameter(f"{key} holds a control character.", field=key)
        if "," in found["host"]:
            raise BadParameter("host names several hosts; name one.", field="host")
        sslmode = found.get("sslmode") or None
        if sslmode is not None and sslmode not in _SSL_MODES:
            raise BadParameter(f"sslmode is {sslmode!r}; it must be one of {', '.join(_SSL_MODES)}.", field="sslmode")
        return cls(
            host=found["host"],
            dbname=found["dbname"],
            user=found["user"],
            password=found.get("password", ""),
            port=_number(found, "port", 5432, 65535),
            sslmode=sslmode,
            connect_timeout=_number(found, "connect_timeout", CONNECT_SECONDS, CONNECT_SECONDS),
            application_name=found.get("application_name") or "headgate",
        )

    @property
    def is_socket(self) -> bool:
        """Whether `host` is the folder of a Unix socket."""
        return self.host.startswith("/")

    def conninfo(self, reached: Sequence[str] = ()) -> str:
        """The same as a connection string of libpq, password included, for the addresses in `reached` alone.

        The name only serves to verify the server's certificate then; none are given for a Unix socket.
        """
        optional = {
            "hostaddr": ",".join(reached) or None,
            "password": self.password or None,
            "sslmode": self.sslmode,
        }
        return make_conninfo(
            host=",".join([self.host] * max(1, len(reached))),
            port=self.port,
            dbname=self.dbname,
            user=self.user,
            **{key: value for key, value in optional.items() if value is not None},
            connect_timeout=self.connect_timeout,
            application_name=self.application_name,
            client_encoding="UTF8",
            # The password file of the account that runs the service is not the caller's to use.
            passfile=f"{os.devnull}/none",
            # Nor are its client certificate and its Kerberos tickets.
            sslcert=f"{os.devnull}/none",
            gssencmode="disable",
            keepalives_idle=30,
            keepalives_interval=10,
            keepalives_count=3,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        if not self.password:
            return ()
        escaped = self.password.replace("\\", "\\\\").replace("'", "\\'")
        spellings = (self.password, escaped, escaped.replace("'", "''"))
        return tuple(sorted(set(spellings), key=len, reverse=True))


def _from_string(text: str) -> dict[str, str]:
    if _IS_PAIRS.search(text) and not re.match(r"(?i)postgres(ql)?://", text):
        return _from_pairs(text)
    try:
        found = {key: str(value) for key, value in conninfo_to_dict(text).items()}
    except psycopg.Error:
        # The driver's message may quote a piece of the password.
        raise BadParameter(
            "connectionString cannot be read. Send Server=…;Database=…;Port=…;UID=…;Password=…, "
            "host=… dbname=… user=… password=…, or postgresql://….",
            field="connectionString",
        ) from None
    for key in found:
        if key not in _ALLOWED:
            raise _refused(key)
    return found


def _from_pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    at = 0
    while at < len(text.rstrip("; \t\r\n")):
        pair = _PAIR.match(text, at)
        if not pair:
            raise BadParameter(
                "connectionString cannot be read: every part must be Key=Value, parted by semicolons.",
                field="connectionString",
            )
        key = pair[1].lower()
        if key not in _PAIRS_KEYS:
            raise _refused(pair[1])
        if _PAIRS_KEYS[key] in found:
            raise BadParameter(f"{pair[1]} stands twice in connectionString.", field=pair[1])
        found[_PAIRS_KEYS[key]] = pair[2].replace("}}", "}") if pair[2] is not None else pair[3]
        at = pair.end()
    mode = _flag(found, "encryptionmethod", {"0": "disable", "1": "verify-full", "6": "prefer"})
    validate = _flag(found, "validateservercertificate", {"0": "require", "1": "verify-full"})
    if mode is not None:
        found["sslmode"] = validate if mode == "verify-full" and validate is not None else mode
    return found


def _flag(found: dict[str, str], key: str, meanings: Mapping[str, str]) -> str | None:
    value = found.pop(key, None)
    if value is not None and value not in meanings:
        raise BadParameter(f"{key} is {value!r}; it must be {' or '.join(meanings)}.", field=key)
    return meanings[value] if value is not None else None


def _number(found: Mapping[str, str], key: str, default: int, highest: int) -> int:
    text = found.get(key) or str(default)
    if not re.fullmatch("[0-9]{1,6}", text) or not 1 <= int(text) <= highest:
        raise BadParameter(f"{key} must be a number from 1 to {highest}.", field=key)
    return int(text)


def _refused(key: str) -> BadParameter:
    return BadParameter(f"The connection parameter {key!r} is not allowed here; leave it out.", field=key)
