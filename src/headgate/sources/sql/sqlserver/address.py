"""Where a SQL Server, an Azure SQL database or a Synapse pool is, and who reads it: parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_KEYS = {
    **dict.fromkeys(("data source", "server", "address", "addr", "network address"), "server"),
    **dict.fromkeys(("initial catalog", "database"), "database"),
    **dict.fromkeys(("user id", "uid", "user"), "username"),
    **dict.fromkeys(("password", "pwd"), "password"),
    **dict.fromkeys(("trustservercertificate", "trust server certificate"), "trustServerCertificate"),
    **dict.fromkeys(("hostnameincertificate", "host name in certificate"), "hostNameInCertificate"),
    **dict.fromkeys(("integrated security", "trusted_connection"), "integratedSecurity"),
    **dict.fromkeys(("applicationintent", "application intent"), "applicationIntent"),
    "encrypt": "encrypt",
    "authentication": "authentication",
}
# They change neither what is read nor from where; a connection is given up after ten seconds whatever they say.
_IGNORED = frozenset(
    (
        *("persist security info", "persistsecurityinfo", "multipleactiveresultsets", "multiple active result sets"),
        *("connect timeout", "connection timeout", "timeout", "command timeout", "pooling", "min pool size"),
        *("max pool size", "application name", "app", "connectretrycount", "connect retry count"),
        *("connectretryinterval", "connect retry interval", "packet size", "multisubnetfailover"),
    )
)
_ENCRYPT = {
    **dict.fromkeys(("true", "yes", "mandatory"), "Mandatory"),
    **dict.fromkeys(("false", "no", "optional"), "Optional"),
    "strict": "Strict",
}
_SERVER = re.compile(
    r"(?i)(?:tcp:)?(?P<host>[A-Za-z0-9._-]{1,253}|[0-9a-f:.]*:[0-9a-f:.]*)(?:,\s*(?P<port>[0-9]{1,6}))?"
)
_OF_AZURE = (
    ".database.windows.net",
    ".sql.azuresynapse.net",
    ".database.chinacloudapi.cn",
    ".database.usgovcloudapi.net",
)


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one SQL Server connection.

    `encrypt` is Mandatory, Optional or Strict. With `trusting`, the server's certificate is not verified; without, it
    must be of `certified`, the host's name where nothing else is said.
    """

    host: str
    database: str
    user: str
    password: str = field(default="", repr=False)
    port: int = 1433
    encrypt: str = "Mandatory"
    trusting: bool = False
    certified: str | None = None
    intent: str | None = None

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: an ADO.NET `connectionString`, `Data Source=…;Initial Catalog=…;User ID=…;…`.

        Raises BadParameter and ParameterMissing naming the key.
        """
        found = address.strings(auth_params)
        address.only(found, ("connectionString",))
        address.required(found, "SQL Server", "connectionString")
        found = address.pairs(found["connectionString"], _KEYS, _IGNORED)
        address.plain(found, ("password",))
        address.required(found, "SQL Server", "server", "database", "username", "password")
        return cls._checked(found)

    @classmethod
    def _checked(cls, found: Mapping[str, str]) -> "Address":
        if found.get("integratedSecurity", "false").lower() not in ("false", "no"):
            raise BadParameter(
                "Integrated Security would use the account that runs this service; send User ID and Password.",
                field="Integrated Security",
            )
        method = found.get("authentication", "sqlpassword").replace(" ", "").lower()
        if method != "sqlpassword":
            raise BadParameter(
                "Authentication must be Sql Password: a login of the server's own, by User ID and Password.",
                field="Authentication",
            )
        encrypt = found.get("encrypt", "Mandatory").lower()
        if encrypt not in _ENCRYPT:
            raise BadParameter(f"Encrypt must be one of {', '.join(sorted(_ENCRYPT))}.", field="Encrypt")
        intent = found.get("applicationIntent", "").lower()
        if intent not in ("", "readonly", "readwrite"):
            raise BadParameter("ApplicationIntent must be ReadOnly or ReadWrite.", field="ApplicationIntent")
        host, port = _server(found)
        return cls(
            host=host,
            database=found["database"],
            user=found["username"],
            password=found["password"],
            port=port,
            encrypt=_ENCRYPT[encrypt],
            trusting=address.flag(found, "trustServerCertificate", False),
            certified=found.get("hostNameInCertificate"),
            intent={"readonly": "ReadOnly", "readwrite": "ReadWrite"}.get(intent),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)

    def connection_string(self, reached: str) -> str:
        """The driver's connection string, password included, for the server at the address `reached`.

        Azure finds the database by the name that is connected to, which is Microsoft's own and leads nowhere else.
        """
        by_name = self.host.lower().endswith(_OF_AZURE)
        server = self.host if by_name else reached
        parts = {
            "Server": f"tcp:{server},{self.port}",
            "Database": self.database,
            "UID": self.user,
            "PWD": self.password,
            "Encrypt": self.encrypt,
            "TrustServerCertificate": "yes" if self.trusting else "no",
            "ApplicationIntent": self.intent,
            "HostnameInCertificate": self.certified if by_name else self.certified or self.host,
        }
        if self.trusting:
            del parts["HostnameInCertificate"]
        return ";".join(f"{key}={_braced(value)}" for key, value in parts.items() if value) + ";"


def _server(found: Mapping[str, str]) -> tuple[str, int]:
    server = found["server"].strip()
    part = _SERVER.fullmatch(server)
    if part is None:
        raise BadParameter(
            "The server must be a host, as host, host,port or tcp:host,port. An instance has a port of its own, which "
            "stands in the place of its name; local pipes and files cannot be reached.",
            field="server",
        )
    return part["host"], address.number({"port": part["port"] or ""}, "port", 1433)


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"
