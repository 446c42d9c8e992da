"""Which Google BigQuery project is read, and by whom: parsed once."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.sql import address

__all__ = ["HOSTS", "Address"]

HOSTS = ("bigquery.googleapis.com", "bigquerystorage.googleapis.com", "oauth2.googleapis.com")
"""Where the driver goes, at port 443."""

_SYNONYMS = {"clientID": "clientId"}
_ALLOWED = ("project", "clientId", "clientSecret", "refreshToken", "largeResultsDataSetId")
_PROJECT = re.compile(r"([a-z0-9.-]+:)?[a-z][a-z0-9-]{4,62}[a-z0-9]")


@dataclass(frozen=True, slots=True)
class Address:
    """A project, and a user's consent: the client it was given to and the token that renews it."""

    project: str
    client_id: str
    client_secret: str = field(repr=False)
    refresh_token: str = field(repr=False)

    @classmethod
    def of(cls, auth_params: Mapping[str, Any]) -> "Address":
        """The address in `auth_params`: `project`, `clientId` (or `clientID`), `clientSecret`, `refreshToken`.

        `largeResultsDataSetId` is taken and not needed. Raises BadParameter and ParameterMissing naming the key.
        """
        found = {_SYNONYMS.get(key, key): value for key, value in address.strings(auth_params).items()}
        address.only(found, _ALLOWED)
        address.required(found, "BigQuery", "project", "clientId", "clientSecret", "refreshToken")
        address.plain(found, ())
        if not _PROJECT.fullmatch(found["project"]):
            raise BadParameter("project must be a project's id, such as my-project-1234.", field="project")
        return cls(found["project"], found["clientId"], found["clientSecret"], found["refreshToken"])

    @property
    def secrets(self) -> tuple[str, ...]:
        """Every spelling of the secrets that a driver's message may hold."""
        return address.spellings(self.client_secret, self.refresh_token)
