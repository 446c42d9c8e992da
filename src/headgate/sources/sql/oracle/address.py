"""Where an Oracle database is and who reads it: parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_KEYS = {
    **dict.fromkeys(("host", "server"), "host"),
    **dict.fromkeys(("servicename", "service name", "service_name"), "serviceName"),
    **dict.fromkeys(("user id", "uid", "user", "username"), "username"),
    **dict.fromkeys(("password", "pwd"), "password"),
    **dict.fromkeys(("encryptionmethod", "encryption method"), "encryptionMethod"),
    "port": "port",
    "sid": "sid",
}
_NAME = re.compile(r"[A-Za-z0-9_$#.-]{1,128}")
_HOST = re.compile(r"[A-Za-z0-9._-]{1,253}|[0-9A-Fa-f:.]{2,45}")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one Oracle connection. It has either a `sid` or a `service`; `encrypted` means TLS (tcps)."""

    host: str
    user: str
    password: str = field(default="", repr=False)
    port: int = 1521
    sid: str | None = None
    service: str | None = None
    encrypted: bool = False

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `connectionString`, `Host=…;Port=…;Sid=…;User Id=…;Password=…`.

        `ServiceName=…` may stand in the place of `Sid`, and `EncryptionMethod=1` asks for TLS. Raises BadParameter and
        ParameterMissing naming the key.
        """
        found = address.strings(auth_params)
        address.only(found, ("connectionString",))
        address.required(found, "Oracle", "connectionString")
        found = address.pairs(found["connectionString"], _KEYS)
        address.plain(found, ("password",))
        address.required(found, "Oracle", "host", "username", "password")
        if ("sid" in found) == ("serviceName" in found):
            raise BadParameter("Name the database by Sid or by ServiceName, by one of them.", field="Sid")
        # They are written into a connect descriptor, whose parentheses could name another address.
        for key, pattern in (("host", _HOST), ("sid", _NAME), ("serviceName", _NAME)):
            if key in found and not pattern.fullmatch(found[key]):
                raise BadParameter(f"{key} holds a character that no such name has.", field=key)
        method = found.get("encryptionMethod", "0")
        if method not in ("0", "1"):
            raise BadParameter("EncryptionMethod must be 0 or 1.", field="EncryptionMethod")
        return cls(
            host=found["host"],
            user=found["username"],
            password=found["password"],
            port=address.number(found, "port", 1521),
            sid=found.get("sid"),
            service=found.get("serviceName"),
            encrypted=method == "1",
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)
