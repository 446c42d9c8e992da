"""Reaches Snowflake through its ADBC driver."""

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
from headgate.sources.sql.reach import first_listening
from headgate.sources.sql.snowflake.address import Address

__all__ = ["SnowflakeDriver"]

snowflake, adbc = library("adbc_driver_snowflake.dbapi"), library("adbc_driver_manager")

_SECONDS = "8s"
_FETCHING = {"adbc.snowflake.rpc.prefetch_concurrency": "2", "adbc.rpc.result_queue_size": "4"}  # parts at a time
_PRECISION = "adbc.snowflake.sql.client_option.max_timestamp_precision"
# By Snowflake's own number of an error.
_BY_CODE: dict[int, type[SourceError]] = {
    **dict.fromkeys((390100, 390101, 390102, 390144, 390190, 390422, 390189, 390201, 3001), SourceAccessDenied),
    **dict.fromkeys((2003, 2043, 904, 390201), SourceObjectMissing),
    **dict.fromkeys((390114, 390112, 604, 605, 639, 606), SourceUnreachable),
}


class SnowflakeDriver:
    """One Snowflake account; its host was judged, and is connected to by name, which is Snowflake's own."""

    def __init__(
        self, address: Address, reached: Sequence[str], *, protocol: str = "https", port: int | None = None
    ) -> None:
        self._address, self._reached = address, reached
        self._protocol, self._port = protocol, port or address.port

    @property
    def secrets(self) -> Sequence[str]:
        """The spellings of the password and the key."""
        return self._address.secrets

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What is raised on the way."""
        return (adbc.Error, pa.ArrowException, OSError) if adbc is not None else ()

    def connect(self) -> AdbcSession:
        """A new session. Raises MissingExtra and the driver's errors."""
        needed(snowflake, "Snowflake", "its ADBC driver", "snowflake")
        first_listening("Snowflake", self._address.host, self._port, self._reached)
        connection = snowflake.connect(db_kwargs=self._options(), autocommit=True)
        return AdbcSession(connection, _FETCHING)

    def _options(self) -> dict[str, str]:
        address, option = self._address, library("adbc_driver_snowflake").DatabaseOptions
        found: dict[str, str | None] = {
            "username": address.user,
            option.ACCOUNT.value: address.account,
            option.HOST.value: address.host,
            option.PORT.value: str(self._port),
            option.PROTOCOL.value: self._protocol,
            option.DATABASE.value: address.database,
            option.WAREHOUSE.value: address.warehouse,
            option.SCHEMA.value: address.schema,
            option.ROLE.value: address.role,
            option.APPLICATION_NAME.value: "headgate",
            option.LOGIN_TIMEOUT.value: _SECONDS,
            option.DISABLE_TELEMETRY.value: "true",
            option.CLIENT_STORE_TEMP_CRED.value: "false",
            option.CLIENT_REQUEST_MFA_TOKEN.value: "false",
            option.USE_HIGH_PRECISION.value: "true",
            _PRECISION: "microseconds",
        }
        if address.key:
            found |= {option.AUTH_TYPE.value: "auth_jwt", option.JWT_PRIVATE_KEY_VALUE.value: address.key}
        else:
            found["password"] = address.password
        return {key: value for key, value in found.items() if value}

    def translate(self, error: Exception) -> HeadgateError:
        """The error of our tree, by Snowflake's number and the driver's status."""
        if isinstance(error, HeadgateError):
            return error
        reason = f"Snowflake: {' '.join(str(error).split())}"
        code: Any = getattr(error, "vendor_code", None)
        if code in _BY_CODE:
            return _BY_CODE[code](reason)
        if adbc is not None and isinstance(error, adbc.OperationalError) and not code:
            return SourceUnreachable(reason)
        return SourceError(reason)
