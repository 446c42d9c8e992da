"""Which ODBC driver reaches which server, and who asks: parsed once."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address
from headgate.sources.sql.odbc.systems import HIVE, PHOENIX, System, system_of

__all__ = ["Address"]

_KEYS = {
    **dict.fromkeys(("server", "servername", "host", "hostname", "dbcname"), "server"),
    **dict.fromkeys(("database", "db", "schema", "defaultdatabase"), "database"),
    **dict.fromkeys(("uid", "user id", "username"), "username"),
    **dict.fromkeys(("pwd", "password"), "password"),
    **dict.fromkeys(("port", "tdmstportnumber"), "port"),
}
# What PostgreSQL's driver has to be told so that it reads only, in parts, and cuts nothing.
_POSTGRES = (
    "ReadOnly=1;UseDeclareFetch=1;Fetch=5000;ByteaAsLongVarBinary=1;BoolsAsChar=0;"
    "MaxVarcharSize=65536;MaxLongVarcharSize=1048576;TextAsLongVarchar=1;UnknownsAsLongVarchar=1"
)
_CLUSTERS = ".azurehdinsight.net"
_HTTP_PATH = re.compile(r"[A-Za-z0-9/_.-]{0,200}")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one connection.

    `driver` is the name of an installed ODBC driver, None when none that is listed reaches the system; `options` are
    what it is told besides, in its own words.
    """

    system: System
    driver: str | None
    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)
    options: str = ""

    @classmethod
    def of(cls, auth_params: Mapping[str, Any], drivers: Sequence[str]) -> "Address":
        """The address in `connectionString`, `Driver={…};Server=…;Port=…;Database=…;UID=…;PWD=…`.

        Raises BadParameter and ParameterMissing naming the key, BadParameter for a driver that is not in `drivers`.
        """
        found = _pairs(auth_params, "ODBC", {**_KEYS, "driver": "driver"})
        address.required(found, "ODBC", "driver")
        name = found["driver"].removeprefix("{").removesuffix("}")
        driver = next((each for each in drivers if each.lower() == name.lower()), None)
        if driver is None:
            listed = ", ".join(drivers) or "none"
            raise BadParameter(
                f"The ODBC driver {name[:80]!r} may not be used here; HEADGATE_ODBC_DRIVERS lists which may: {listed}.",
                field="Driver",
            )
        return cls._made(system_of(driver), driver, found, "ODBC")

    @classmethod
    def of_string(cls, system: System, auth_params: Mapping[str, Any], drivers: Sequence[str]) -> "Address":
        """The same without `Driver`, which is the first of `drivers` that reaches the system."""
        return cls._made(system, _first(system, drivers), _pairs(auth_params, system.title, _KEYS), system.title)

    @classmethod
    def of_params(cls, system: System, auth_params: Mapping[str, Any], drivers: Sequence[str]) -> "Address":
        """The address in `server` or `host`, which may end with a port, `username`, `password`, and others.

        Db2 has a `database`, and an `authenticationType` that can only be Basic; Phoenix `enableSsl` and `httpPath`.
        """
        found = address.strings(auth_params)
        server = "host" if system in (HIVE, PHOENIX) else "server"
        others = {HIVE: (), PHOENIX: ("port", "enableSsl", "httpPath")}.get(system, ("database", "authenticationType"))
        address.only(found, (server, "username", "password", *others))
        address.required(found, system.title, server, "username", "password")
        if found.get("authenticationType", "Basic").lower() != "basic":
            raise BadParameter("authenticationType can only be Basic here.", field="authenticationType")
        found["server"] = found.pop(server)
        host, colon, port = found["server"].rpartition(":")
        if colon and ":" not in host:
            found |= {"server": host, "port": port}
        return cls._made(system, _first(system, drivers), found, system.title)

    @classmethod
    def _made(cls, system: System, driver: str | None, found: Mapping[str, str], title: str) -> "Address":
        address.plain(found, ("password",))
        needed = ("server", *(("port",) if not system.port else ()), *(("database",) if system.needs_database else ()))
        address.required(found, title, *needed, "username")
        for key in ("server", "database", "username"):
            if set(found.get(key, "")) & set(";{}="):  # drivers do not agree on how to write them
                raise BadParameter(f"{key} holds one of ; {{ }} =, which ODBC drivers misread.", field=key)
        port, options = system.port, [system.options]
        if system in (HIVE, PHOENIX):
            cluster = found["server"].lower().endswith(_CLUSTERS)
            port = 443 if cluster else port
            options.append(_of_hive(cluster) if system is HIVE else _of_phoenix(found, cluster))
        return cls(
            system=system,
            driver=driver,
            host=found["server"],
            port=address.number(found, "port", port),
            database=found.get("database", ""),
            user=found["username"],
            password=found.get("password", ""),
            options=_POSTGRES if (driver or "").lower().startswith("postgresql") else ";".join(filter(None, options)),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)

    @property
    def by_name(self) -> bool:
        """Whether the server is one of Azure's, which are told apart by the name that they are called by."""
        return self.host.lower().endswith(_CLUSTERS)

    def connection_string(self, reached: str) -> str:
        """The driver's connection string, password included, for the server at the address `reached`."""
        server, port, database = self.system.words
        parts = [f"Driver={{{self.driver or ''}}}", f"{server}={self.host if self.by_name else reached}"]
        parts += [f"{port}={self.port}"]
        parts += [f"{database}={self.database}"] if self.database else []
        parts += [f"UID={self.user}"]
        parts += [f"PWD={_braced(self.password)}"] if self.password else []
        return ";".join([*parts, *filter(None, [self.options])])


def _pairs(auth_params: Mapping[str, Any], title: str, keys: Mapping[str, str]) -> dict[str, str]:
    found = address.strings(auth_params)
    address.only(found, ("connectionString",))
    address.required(found, title, "connectionString")
    return address.pairs(found["connectionString"], keys)


def _first(system: System, drivers: Sequence[str]) -> str | None:
    return next((driver for driver in drivers if system.runs(driver)), None)


def _of_hive(cluster: bool) -> str:
    return "AuthMech=6" if cluster else "AuthMech=3"  # an HDInsight gateway; or a user and a password


def _of_phoenix(found: Mapping[str, str], cluster: bool) -> str:
    path = found.get("httpPath", "")
    if not _HTTP_PATH.fullmatch(path):
        raise BadParameter("httpPath must be a path of letters, digits and / _ . -.", field="httpPath")
    ssl = address.flag(found, "enableSsl", cluster)
    return f"AuthMech=1;SSL={int(ssl)}" + (f";HTTPPath={path}" if path else "")


def _braced(value: str) -> str:
    """`value` in braces where it needs them, for not every driver takes them off."""
    if set(value) & set(";{}=\"'") or value != value.strip():
        return "{" + value.replace("}", "}}") + "}"
    return value
