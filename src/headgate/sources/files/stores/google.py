"""Google Cloud Storage by the key of a service account."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from joserfc import jwt
from joserfc.errors import JoseError
from joserfc.jwk import RSAKey
from obstore.store import GCSStore

from headgate.errors import BadParameter, SourceError
from headgate.outbound import Outbound
from headgate.sources.files.stores.asking import RETRIES, client_options, folder_of, service_url, text
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["GoogleAccount", "GoogleKey"]

_SERVICE = "https://storage.googleapis.com"
_SCOPE = "https://www.googleapis.com/auth/devstorage.read_only"
_TOKEN = timedelta(minutes=50)


@dataclass(frozen=True, slots=True)
class GoogleKey:
    """The key of a service account, and the address of the service that it is for."""

    email: str
    private: RSAKey = field(repr=False)
    service: str
    folder: tuple[str, ...]

    @classmethod
    def of(cls, params: Mapping[str, Any]) -> "GoogleKey":
        """The key in `auth.params`. Raises BadParameter, ParameterMissing."""
        given = params.get("serviceAccountKey")
        document = json.dumps(given) if isinstance(given, dict) else str(given or "")
        try:
            key = json.loads(document)
        except ValueError:
            key = None
        if not isinstance(key, dict) or not all(key.get(name) for name in ("client_email", "private_key")):
            raise BadParameter(
                "serviceAccountKey must be the JSON of a service account's key, as Google gives it out.",
                field="serviceAccountKey",
            )
        service = service_url(params, "serviceUrl", default=_SERVICE)
        text(params, "bucketName", needed=True)
        try:
            private = RSAKey.import_key(key["private_key"], {"kid": str(key.get("private_key_id") or "")})
        except (JoseError, ValueError):
            raise BadParameter("private_key of serviceAccountKey cannot be read.", field="serviceAccountKey") from None
        return cls(str(key["client_email"]), private, service, folder_of(params, "bucketName"))


class GoogleAccount:
    """What one service account may read."""

    prefix = "gs://"

    def __init__(self, key: GoogleKey, outbound: Outbound) -> None:
        """Raises HostNotAllowed."""
        self.folder = key.folder
        self.tunnel = Tunnel(outbound)
        self._key = key
        self.tunnel.admit(key.service)

    def bucket(self, name: str) -> GCSStore:
        """The store of one bucket."""
        return GCSStore(
            name,
            credential_provider=self._credential,
            config={"base_url": self._key.service, "skip_signature": False},
            client_options=client_options(self.tunnel),
            retry_config=RETRIES,
        )

    def _credential(self) -> Any:
        """A token that the account signs for itself: nobody is asked for it, and it is good for reading."""
        now = datetime.now(UTC).replace(microsecond=0)
        claims = {
            "iss": self._key.email,
            "sub": self._key.email,
            "scope": _SCOPE,
            "iat": int(now.timestamp()),
            "exp": int((now + _TOKEN).timestamp()),
        }
        header = {"alg": "RS256", "typ": "JWT", "kid": self._key.private.kid}
        return {"token": jwt.encode(header, claims, self._key.private), "expires_at": now + _TOKEN}

    def buckets(self) -> Iterator[str]:
        """Nothing: these are listed by project, which a connection does not name. Raises SourceError."""
        raise SourceError("Name the bucket in the connection (bucketName).")
