"""What the systems behind ODBC drivers have otherwise: how a driver is told where they are, and their SQL.

Everything else is asked of the driver itself. A system is known by how the name of its driver begins, or by what the
driver calls it once it is connected.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import pyarrow as pa

from headgate.model.lake import LakeType
from headgate.sources.sql.dialect import Rule, rule_of

__all__ = ["DB2", "HIVE", "PHOENIX", "STANDARD", "TERADATA", "VERTICA", "System", "system_called", "system_of"]

_TEXT = Rule(LakeType("string"), pa.string())  # that is not compared


@dataclass(frozen=True, slots=True, eq=False)
class System:
    """One system, or all that have no entry of their own.

    `drivers` is how the names of its drivers begin, as a regular expression, and `install` what to install where there
    is none; `dbms` how the names begin that its drivers give it. `words` are the driver's own for server, port and
    database, `options` what else it is told; `port` is the usual one. `limit` is how the first rows are asked for.
    `backslash` says what one in a constant is: itself, the beginning of an escape, or nobody knows. `escaping` is
    whether LIKE has an ESCAPE. `braces` is whether the driver takes {ts '…'}. `zoned` is a time with a zone as one in
    UTC without, and what a constant of its type begins with. `hidden` are the schemas of its own, `types` the codes.
    """

    title: str
    drivers: str = r"(?!)"
    install: str = ""
    dbms: tuple[str, ...] = ()
    words: tuple[str, str, str] = ("Server", "Port", "Database")
    options: str = ""
    port: int = 0
    needs_database: bool = True
    probe: str | None = "SELECT 1"
    limit: Literal["fetch", "limit", "top"] = "limit"
    upper: bool = False
    backslash: Literal["plain", "escape"] | None = None
    escaping: bool = True
    braces: bool = True
    real: str = "real"
    zoned: tuple[str, str] | None = None
    hidden: str = r"(?!)"
    types: Mapping[int, Rule] = field(default_factory=dict)

    def runs(self, driver: str) -> bool:
        """Whether the ODBC driver of that name is one of this system."""
        return re.match(self.drivers, driver, re.IGNORECASE) is not None

    def called(self, dbms: str) -> bool:
        """Whether a driver that calls its system `dbms` means this one."""
        return dbms.lower().startswith(self.dbms)


STANDARD = System("ODBC", limit="fetch", probe=None)
"""What nothing is known of: connecting is all the proof, and constants with a backslash are refused."""

VERTICA = System(
    "Vertica",
    drivers=r"(hpe? )?vertica",
    install="Vertica's client drivers",
    dbms=("vertica",),
    options="ReadOnly=1",
    port=5433,
    backslash="plain",
    zoned=("{c} AT TIME ZONE 'UTC'", "TIMESTAMP WITH TIME ZONE"),
    hidden=r"v_.*",
)
TERADATA = System(
    "Teradata",
    drivers=r"teradata",
    install="the ODBC Driver for Teradata",
    dbms=("teradata",),
    words=("DBCName", "TDMSTPortNumber", "DefaultDatabase"),
    options="CharacterSet=UTF8",
    port=1025,
    needs_database=False,
    limit="top",
    backslash="plain",
    zoned=("CAST({c} AT TIME ZONE INTERVAL '00:00' HOUR TO MINUTE AS TIMESTAMP(6))", "TIMESTAMP"),
    hidden=r"dbc|sys.*|td_.*|tdwm|tdstats|tdqcd|tdmaps|tdpuser|locklogshredder|console|crashdumps|extuser"
    r"|external_ap|sqlj|default|public|all|dbcmngr",
)
DB2 = System(
    "Db2",
    drivers=r"(ibm )?db2",
    install="IBM's Data Server Driver for ODBC and CLI",
    dbms=("db2",),
    words=("Hostname", "Port", "Database"),
    options="Protocol=TCPIP",
    port=50000,
    probe="SELECT 1 FROM SYSIBM.SYSDUMMY1",
    limit="fetch",
    upper=True,
    backslash="plain",
    hidden=r"sys.*|nullid|sqlj",
    types={
        **dict.fromkeys((-95, -96), rule_of("string")),  # GRAPHIC, VARGRAPHIC
        **dict.fromkeys((-97, -99, -350, -360, -370), _TEXT),  # LONG VARGRAPHIC, CLOB, DBCLOB, DECFLOAT, XML
        -98: rule_of("binary"),  # BLOB
    },
)
HIVE = System(
    "Hive",
    drivers=r"((cloudera|simba|hortonworks|microsoft)\b.*)?hive\b",
    install="the Cloudera ODBC Driver for Apache Hive, or the one of Simba, Hortonworks or Microsoft",
    dbms=("hive", "apache hive"),
    words=("Host", "Port", "Schema"),
    # What is sent is HiveQL; a text, which has no length of its own, may be as long as the driver lets it.
    options="HiveServerType=2;UseNativeQuery=1;DefaultStringColumnLength=32767",
    port=10000,
    needs_database=False,
    backslash="escape",
    escaping=False,
    braces=False,
    real="float",
    hidden=r"sys",
)
PHOENIX = System(
    "Phoenix",
    drivers=r"((cloudera|simba|hortonworks|microsoft).*)?phoenix\b",
    install="the ODBC driver for Phoenix of Simba, Hortonworks or Microsoft",
    dbms=("phoenix", "apache phoenix"),
    words=("Host", "Port", "Schema"),
    port=8765,
    needs_database=False,
    upper=True,
    backslash="escape",
    escaping=False,
    braces=False,
    real="float",
    hidden=r"system",
)
_OTHERS = (
    System("ODBC", dbms=("postgresql",), backslash="plain", zoned=VERTICA.zoned),
    System("ODBC", dbms=("sqlite",), backslash="plain"),
    System("ODBC", dbms=("mysql", "mariadb")),  # what a backslash is there is a setting
    System("ODBC", dbms=("impala", "spark"), backslash="escape", escaping=False, real="float"),
    System("ODBC", dbms=("microsoft sql server", "adaptive server"), limit="top", backslash="plain"),
)
_SYSTEMS = (VERTICA, TERADATA, DB2, HIVE, PHOENIX, *_OTHERS)


def system_of(driver: str) -> System:
    """The system that an ODBC driver of that name reaches, as far as the name tells."""
    return next((system for system in _SYSTEMS if system.runs(driver)), STANDARD)


def system_called(dbms: str) -> System | None:
    """The system that a driver calls `dbms`, None when it is not known."""
    return next((system for system in _SYSTEMS if system.called(dbms)), None)
