"""Where a Trino coordinator is and who reads it: parsed once."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_ALLOWED = ("host", "port", "username", "password", "catalog", "schema", "ssl")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one connection to Trino; `encrypted` means HTTPS."""

    host: str
    user: str
    catalog: str
    password: str = field(default="", repr=False)
    schema: str | None = None
    port: int = 443
    encrypted: bool = True

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `host`, `username`, `catalog`, and perhaps `password`, `schema`, `port`, `ssl`.

        The port is 443, or 8080 when `ssl` is false, which takes no password. Raises BadParameter, ParameterMissing.
        """
        found = address.strings(auth_params)
        address.only(found, _ALLOWED)
        address.required(found, "Trino", "host", "username", "catalog")
        address.plain(found, ("password",))
        encrypted = address.flag(found, "ssl", True)
        if "password" in found and not encrypted:
            raise BadParameter("Trino takes a password over TLS only; leave it out, or ssl.", field="password")
        return cls(
            host=found["host"],
            user=found["username"],
            catalog=found["catalog"],
            password=found.get("password", ""),
            schema=found.get("schema"),
            port=address.number(found, "port", 443 if encrypted else 8080),
            encrypted=encrypted,
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)
