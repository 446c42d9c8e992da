"""Where a ClickHouse server is and who reads it: parsed once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.sources.sql import address

__all__ = ["Address"]

_ALLOWED = ("host", "port", "username", "password", "database", "ssl")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one connection to ClickHouse's HTTP interface; `encrypted` means HTTPS."""

    host: str
    user: str
    password: str = field(default="", repr=False)
    database: str = "default"
    port: int = 8443
    encrypted: bool = True

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `host`, `username`, and perhaps `password`, `database`, `port`, `ssl`.

        The port is 8443, or 8123 when `ssl` is false. Raises BadParameter and ParameterMissing naming the key.
        """
        found = address.strings(auth_params)
        address.only(found, _ALLOWED)
        address.required(found, "ClickHouse", "host", "username")
        address.plain(found, ("password",))
        encrypted = address.flag(found, "ssl", True)
        return cls(
            host=found["host"],
            user=found["username"],
            password=found.get("password", ""),
            database=found.get("database", "default"),
            port=address.number(found, "port", 8443 if encrypted else 8123),
            encrypted=encrypted,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)
