"""Reaches Google BigQuery through its ADBC driver."""

import json
import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from headgate.errors import (
    HeadgateError,
    SourceAccessDenied,
    SourceError,
    SourceObjectMissing,
    SourceUnreachable,
)
from headgate.sources.libraries import library, needed
from headgate.sources.sql.adbc import AdbcSession
from headgate.sources.sql.bigquery.address import Address
from headgate.sources.sql.driver import Session

__all__ = ["BigQueryDriver", "datasets", "missing"]

bigquery, adbc = library("adbc_driver_bigquery.dbapi"), library("adbc_driver_manager")

_BY_WORDS: tuple[tuple[str, type[SourceError]], ...] = (
    (r"Not found: (Table|Dataset|Project)|Unrecognized name|notFound\b|Error 404", SourceObjectMissing),
    (r"invalid_grant|invalid_client|unauthorized_client|Error 40[13]|accessDenied|Access Denied", SourceAccessDenied),
    (r"rateLimitExceeded|quotaExceeded|backendError|internalError|Error 5[0-9][0-9]|Error 429", SourceUnreachable),
    (r"dial tcp|connection (refused|reset)|no such host|timeout|EOF", SourceUnreachable),
)


def missing(error: Exception) -> bool:
    """Whether BigQuery says with it that it does not have what was asked for."""
    return re.search(_BY_WORDS[0][0], str(error)) is not None


def datasets(session: Session) -> list[str]:
    """The datasets of the session's project, of every location."""
    assert isinstance(session, AdbcSession)  # noqa: S101 - this dialect's sessions are
    found = session.connection.adbc_get_objects(depth="db_schemas").read_all().to_pylist()
    return sorted(
        schema["db_schema_name"] for catalog in found for schema in catalog["catalog_db_schemas"] or () if schema
    )


class BigQueryDriver:
    """One project, read with the consent of a user."""

    def __init__(self, address: Address) -> None:
        self._address = address

    @property
    def secrets(self) -> Sequence[str]:
        """The secrets' spellings."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (adbc.Error, pa.ArrowException, OSError) if adbc is not None else ()

    def connect(self) -> AdbcSession:
        """A session; what it asks first shows whether it is let in. Raises MissingExtra and the driver's errors."""
        needed(bigquery, "BigQuery", "its ADBC driver", "bigquery")
        address, option = self._address, library("adbc_driver_bigquery").DatabaseOptions
        # Not by the driver's own form of the same, with which version 1.11.0 ends this process when it is refused.
        consent = {
            "type": "authorized_user",
            "client_id": address.client_id,
            "client_secret": address.client_secret,
            "refresh_token": address.refresh_token,
        }
        options: dict[str, Any] = {
            option.PROJECT_ID.value: address.project,
            option.AUTH_TYPE.value: option.AUTH_VALUE_JSON_CREDENTIAL_STRING.value,
            option.AUTH_CREDENTIALS.value: json.dumps(consent),
        }
        return AdbcSession(bigquery.connect(db_kwargs=options, autocommit=True))

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by Google's words."""
        if isinstance(error, HeadgateError):
            return error
        text = f"BigQuery: {' '.join(str(error).split())}"
        for words, kind in _BY_WORDS:
            if re.search(words, text):
                return kind(text)
        return SourceError(text)
