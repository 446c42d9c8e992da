"""Where a Databricks workspace is and who reads it: parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["Address"]

_ALLOWED = ("domain", "clusterId", "accessToken", "database", "catalog")
_DOMAIN = re.compile(
    r"(?i)(?:https://)?([a-z0-9.-]{1,200}[.](?:azuredatabricks[.]net|databricks[.]azure[.](?:cn|us)|"
    r"(?:cloud|gcp)[.]databricks[.](?:com|us|mil)))/?"
)
_CLUSTER = re.compile(r"[0-9]{4}-[0-9]{6}-[a-z0-9]{1,40}")
_WAREHOUSE = re.compile(r"/?sql/1[.]0/(?:warehouses|endpoints)/([0-9a-f]{8,40})|([0-9a-f]{16})")
_WORKSPACE = re.compile(r"adb-([0-9]{1,20})[.]")


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of one Databricks connection; `path` is the HTTP path of its cluster or warehouse."""

    host: str
    path: str
    token: str = field(repr=False)
    database: str
    catalog: str | None = None
    port: int = 443

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `domain`, `clusterId`, `accessToken`, `database` and perhaps `catalog`.

        `clusterId` may also be the id, or the HTTP path, of a SQL warehouse. Raises BadParameter, ParameterMissing.
        """
        found = address.strings(auth_params)
        address.only(found, _ALLOWED)
        address.required(found, "Databricks", "domain", "clusterId", "accessToken", "database")
        address.plain(found, ())
        domain = _DOMAIN.fullmatch(found["domain"].strip())
        if domain is None:
            raise BadParameter(
                "domain must be a workspace's, such as https://adb-1234567890123456.7.azuredatabricks.net.",
                field="domain",
            )
        host = domain[1].lower()
        return cls(
            host=host,
            path=_path(host, found["clusterId"].strip()),
            token=found["accessToken"],
            database=found["database"],
            catalog=found.get("catalog"),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the token that a driver's message may hold."""
        return address.spellings(self.token)


def _path(host: str, cluster: str) -> str:
    if warehouse := _WAREHOUSE.fullmatch(cluster):
        return f"/sql/1.0/warehouses/{warehouse[1] or warehouse[2]}"
    if not _CLUSTER.fullmatch(cluster):
        raise BadParameter(
            "clusterId must be a cluster's id, such as 0131-100000-abcdefgh, or a SQL warehouse's.", field="clusterId"
        )
    workspace = _WORKSPACE.match(host)
    return f"/sql/protocolv1/o/{workspace[1] if workspace else 0}/{cluster}"
