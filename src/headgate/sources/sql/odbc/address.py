"""Which ODBC driver reaches which server, and who asks: parsed once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_KEYS = {
    **dict.fromkeys(("server", "servername", "host", "hostname"), "server"),
    **dict.fromkeys(("database", "db"), "database"),
    **dict.fromkeys(("uid", "user id", "username"), "username"),
    **dict.fromkeys(("pwd", "password"), "password"),
    "driver": "driver",
    "port": "port",
}
# By the beginning of a driver's name: what it has to be told so that it reads only, in parts, and cuts nothing.
_OPTIONS = {
    "postgresql": "ReadOnly=1;UseDeclareFetch=1;Fetch=5000;ByteaAsLongVarBinary=1;BoolsAsChar=0;"
    "MaxVarcharSize=65536;MaxLongVarcharSize=1048576;TextAsLongVarchar=1;UnknownsAsLongVarchar=1"
}


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one connection. `driver` is the name of an installed ODBC driver."""

    driver: str
    host: str
    port: int
    database: str
    user: str
    password: str = field(default="", repr=False)

    @classmethod
    def of(cls, auth_params: Mapping[str, Any], drivers: Sequence[str]) -> "Address":
        """The address in `connectionString`, `Driver={…};Server=…;Port=…;Database=…;UID=…;PWD=…`.

        Raises BadParameter and ParameterMissing naming the key, BadParameter for a driver that is not in `drivers`.
        """
        found = address.strings(auth_params)
        address.only(found, ("connectionString",))
        address.required(found, "ODBC", "connectionString")
        found = address.pairs(found["connectionString"], _KEYS)
        address.plain(found, ("password",))
        address.required(found, "ODBC", "driver", "server", "port", "database", "username")
        for key in ("server", "database", "username"):
            if set(found[key]) & set(";{}="):  # drivers do not agree on how to write them
                raise BadParameter(f"{key} holds one of ; {{ }} =, which ODBC drivers misread.", field=key)
        name = found["driver"].removeprefix("{").removesuffix("}")
        driver = next((each for each in drivers if each.lower() == name.lower()), None)
        if driver is None:
            listed = ", ".join(drivers) or "none"
            raise BadParameter(
                f"The ODBC driver {name[:80]!r} may not be used here; HEADGATE_ODBC_DRIVERS lists which may: {listed}.",
                field="Driver",
            )
        return cls(
            driver=driver,
            host=found["server"],
            port=address.number(found, "port", 0),
            database=found["database"],
            user=found["username"],
            password=found.get("password", ""),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the password that a driver's message may hold."""
        return address.spellings(self.password)

    def connection_string(self, reached: str) -> str:
        """The driver's connection string, password included, for the server at the address `reached`."""
        parts = [f"Driver={_braced(self.driver)}", f"Server={reached}", f"Port={self.port}"]
        parts += [f"Database={self.database}", f"UID={self.user}"]
        parts += [f"PWD={_braced(self.password)}"] if self.password else []
        name = self.driver.lower()
        parts += [options for start, options in _OPTIONS.items() if name.startswith(start)]
        return ";".join(parts)


def _braced(value: str) -> str:
    return "{" + value.replace("}", "}}") + "}"
