"""Where a Snowflake account is and who reads it: parsed once."""

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from cryptography.hazmat.primitives import serialization

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_STRING = {
    **dict.fromkeys(("user", "username"), "username"),
    **dict.fromkeys(("db", "database"), "database"),
    **{key: key for key in ("password", "schema", "warehouse", "role", "authenticator", "ssl")},
}
_IGNORED = ("application", "client_session_keep_alive", "logintimeout", "networktimeout", "querytimeout", "account")
_KEY_PAIR = ("account", "username", "database", "privateKey", "privateKeyPassphrase", "warehouse", "schema", "role")
_ACCOUNT = re.compile(r"[A-Za-z0-9_-]{1,255}([.][A-Za-z0-9_-]{1,63}){0,3}")
_OF_SNOWFLAKE = (".snowflakecomputing.com", ".snowflakecomputing.cn")
_PEM = re.compile(r"(-----BEGIN [A-Z ]+-----)(.*?)(-----END [A-Z ]+-----)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one Snowflake connection: a `password`, or a private `key` in PEM form (PKCS #8, open)."""

    account: str
    host: str
    user: str
    database: str
    warehouse: str
    password: str = field(default="", repr=False)
    key: str = field(default="", repr=False)
    schema: str | None = None
    role: str | None = None
    port: int = 443
    _typed: tuple[str, ...] = field(default=(), repr=False, compare=False)

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `connectionString`, or `account`, `username`, `privateKey`, ….

        The string is `jdbc:snowflake://ACCOUNT.snowflakecomputing.com/?user=…&password=…&db=…&warehouse=…`, its values
        encoded as in any URL. The key is PEM text, or base64 of it. Raises BadParameter, ParameterMissing.
        """
        found = address.strings(auth_params)
        if "connectionString" in found:
            address.only(found, ("connectionString",))
            found = _from_string(found["connectionString"])
            address.required(found, "Snowflake", "username", "password", "database", "warehouse")
        else:
            address.only(found, _KEY_PAIR)
            address.required(found, "Snowflake", "account", "username", "database", "privateKey", "warehouse")
        address.plain(found, ("password", "privateKey", "privateKeyPassphrase"))
        account = found["account"].removesuffix(".snowflakecomputing.com")
        if not _ACCOUNT.fullmatch(account):
            raise BadParameter("account must be an account's identifier, such as myorg-account1.", field="account")
        return cls(
            account=account,
            host=found.get("host") or f"{account}{_OF_SNOWFLAKE[0]}",
            user=found["username"],
            database=found["database"],
            warehouse=found["warehouse"],
            password=found.get("password", ""),
            key=_key(found["privateKey"], found.get("privateKeyPassphrase")) if "privateKey" in found else "",
            schema=found.get("schema"),
            role=found.get("role"),
            _typed=tuple(found[name] for name in ("privateKey", "privateKeyPassphrase") if name in found),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password, the key and its passphrase that a driver's message may hold."""
        return address.spellings(self.password, self.key, *self._typed)


def _from_string(text: str) -> dict[str, str]:
    try:
        parts = urlsplit(text.strip().removeprefix("jdbc:"))
        host, port, said = parts.hostname or "", parts.port, parse_qsl(parts.query, strict_parsing=True)
    except ValueError:
        parts, host, port, said = None, "", None, []
    if parts is None or parts.scheme != "snowflake" or not said or "@" in parts.netloc:
        raise BadParameter(
            "connectionString cannot be read. Send jdbc:snowflake://ACCOUNT.snowflakecomputing.com/"
            "?user=…&password=…&db=…&warehouse=…, with values encoded as in any URL.",
            field="connectionString",
        )
    suffix = next((end for end in _OF_SNOWFLAKE if host.endswith(end)), None)
    if suffix is None or port not in (None, 443) or parts.path.strip("/") or parts.fragment:
        raise BadParameter(
            "The host of connectionString must be ACCOUNT.snowflakecomputing.com, with nothing but the parameters "
            "behind it.",
            field="connectionString",
        )
    found = {"account": host.removesuffix(suffix), "host": host}
    for written, value in said:
        if written.lower() in _IGNORED:
            continue
        name = _STRING.get(written.lower())
        if name is None:
            raise address.refused(written)
        if name in found:
            raise BadParameter(f"{written} stands twice in connectionString, under this name or another.", field=name)
        found[name] = value
    if found.pop("authenticator", "snowflake").lower() != "snowflake":
        raise BadParameter(
            "authenticator must be snowflake: no browser and no other service can be asked. Send a password or a key.",
            field="authenticator",
        )
    if found.pop("ssl", "on").lower() not in ("on", "true"):
        raise BadParameter("ssl must be on.", field="ssl")
    return found


def _key(text: str, passphrase: str | None) -> str:
    """The private key as open PKCS #8 in PEM form, whichever of its forms was sent."""
    try:
        data = text.strip()
        if "-----BEGIN" not in data:
            raw = base64.b64decode("".join(data.split()), validate=True)
            data = raw.decode() if raw.lstrip().startswith(b"-----BEGIN") else ""
        else:
            raw = b""
        secret = passphrase.encode() if passphrase else None
        if data:
            key = serialization.load_pem_private_key(_lines(data).encode(), secret)
        else:
            key = serialization.load_der_private_key(raw, secret)
    except (ValueError, TypeError, binascii.Error) as error:
        reason = "the passphrase is missing, not needed or wrong" if "assw" in str(error) else "it is none"
        raise BadParameter(
            f"privateKey cannot be read as a private key ({reason}). Send its PEM text, or base64 of it, and "
            "privateKeyPassphrase when it is encrypted.",
            field="privateKey",
        ) from None
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()


def _lines(pem: str) -> str:
    """A PEM text whose lines a form's field may have joined."""
    found = _PEM.search(pem.replace("\\n", "\n"))
    if found is None:
        raise ValueError("no PEM text")
    body = "".join(found[2].split())
    if ":" in body:  # the old form, with headers that tell how it is encrypted
        return pem
    return "\n".join([found[1], *(body[at : at + 64] for at in range(0, len(body), 64)), found[3], ""])
