"""Amazon S3 and what speaks its protocol: other vendors' stores, Google's by its interoperability keys, Oracle's."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from html import unescape
from typing import Any, Literal
from urllib.parse import urlsplit

import obstore
from obstore.store import S3Store

from headgate.errors import BadParameter, ParameterMissing, SourceObjectMissing
from headgate.outbound import Outbound
from headgate.sources.files.stores.asking import RETRIES, asked, client_options, folder_of, refused, service_url, text
from headgate.sources.files.stores.tunnel import Tunnel

__all__ = ["AmazonAccount", "AmazonKeys"]

_REGION = re.compile(r"[a-z0-9-]{2,40}")
_REGION_IN_HOST = re.compile(r"[.-]([a-z]{2,3}(?:-[a-z]+)+-\d)\.")
_BUCKET = re.compile(r"<Bucket>.*?<Name>([^<]+)</Name>", re.DOTALL)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,254}")
_ANYWHERE = "https://s3.amazonaws.com"


@dataclass(frozen=True, slots=True)
class AmazonKeys:
    """What a connection says: the keys, and where the account is. `region` is empty where it has to be found out."""

    prefix: str
    key: str
    secret: str = field(repr=False)
    token: str | None = field(default=None, repr=False)
    region: str = ""
    service: str = ""
    hosted: bool = False
    folder: tuple[str, ...] = ()

    @classmethod
    def of(cls, vendor: Literal["amazon", "google", "oracle"], params: Mapping[str, Any]) -> "AmazonKeys":
        """The keys in `auth.params` of a vendor's spec. Raises BadParameter, ParameterMissing."""
        prefix, key, secret = {
            "amazon": ("s3://", "s3AccessKey", "s3SecretKey"),
            "google": ("gs://", "accessKeyId", "secretAccessKey"),
            "oracle": ("oci://", "accessKey", "secretKey"),
        }[vendor]
        service = service_url(
            params, "serviceUrl", default="https://storage.googleapis.com" if vendor == "google" else ""
        )
        region = text(params, "region")
        if region and not _REGION.fullmatch(region):
            raise BadParameter(f"region is {region!r}; send one such as eu-central-1.", field="region")
        if vendor == "oracle" and not service:
            raise ParameterMissing(
                "serviceUrl is missing. For Oracle it is https://NAMESPACE.compat.objectstorage.REGION.oraclecloud.com.",
                field="serviceUrl",
            )
        if service and not region:
            found = _REGION_IN_HOST.search(urlsplit(service).hostname or "")
            region = found[1] if found else {"google": "auto"}.get(vendor, "us-east-1")
        return cls(
            prefix=prefix,
            key=text(params, key, needed=True),
            secret=text(params, secret, needed=True),
            token=text(params, "s3SessionToken") or None,
            region=region,
            service=service,
            hosted=str(params.get("virtualHosted", False)).lower() == "true",
            folder=folder_of(params, "bucketName"),
        )


class AmazonAccount:
    """An account of S3 or of another service with its protocol."""

    def __init__(self, keys: AmazonKeys, outbound: Outbound) -> None:
        """Raises HostNotAllowed."""
        self.prefix, self.folder = keys.prefix, keys.folder
        self.tunnel = Tunnel(outbound)
        self._keys = keys
        self.tunnel.admit(keys.service or (_endpoint(keys.region) if keys.region else _ANYWHERE))

    def bucket(self, name: str) -> S3Store:
        """The store of one bucket. Raises HostNotAllowed, SourceError."""
        if not _NAME.fullmatch(name):
            raise SourceObjectMissing(f"{name!r} cannot be the name of a bucket.", path=name)
        region = self._keys.region or self._region(name)
        url = self._keys.service or _endpoint(region)
        if self._keys.hosted:
            scheme, _, host = url.partition("://")
            url = f"{scheme}://{name}.{host}"
        self.tunnel.admit(url)
        return self._store(name, url, region, hosted=self._keys.hosted)

    def buckets(self) -> Iterator[str]:
        """The names of the buckets that the keys may list. Raises SourceError."""
        region = self._keys.region or "us-east-1"
        url = self._keys.service or _endpoint(region)
        self.tunnel.admit(url)
        # A bucket at the root of the service: the list of all.
        root = self._store("all", url, region, hosted=True)
        answer = asked(self.tunnel, obstore.sign(root, "GET", "", timedelta(minutes=5)))
        if answer.status_code != 200:
            raise refused(answer, "The buckets cannot be listed. Name one in the connection (bucketName).")
        return (unescape(name) for name in _BUCKET.findall(answer.text))

    def _store(self, bucket: str, url: str, region: str, *, hosted: bool) -> S3Store:
        def credentials() -> Any:
            return {
                "access_key_id": self._keys.key,
                "secret_access_key": self._keys.secret,
                "token": self._keys.token,
                "expires_at": None,
            }

        # Whatever stands in the environment of this process is the service's and not the connection's: each setting
        # that the library would look for there is given.
        return S3Store(
            bucket,
            credential_provider=credentials,
            config={
                "endpoint": url,
                "aws_endpoint_url_s3": url,
                "region": region,
                "virtual_hosted_style_request": hosted,
                "skip_signature": False,
                "s3_express": False,
                "request_payer": False,
                "unsigned_payload": False,
                "server_side_encryption": "AES256",
            },
            client_options=client_options(self.tunnel),
            retry_config=RETRIES,
        )

    def _region(self, bucket: str) -> str:
        """Where a bucket of Amazon's is; it tells everybody."""
        answer = asked(self.tunnel, f"{_ANYWHERE}/{bucket}", method="HEAD")
        region = str(answer.headers.get("x-amz-bucket-region", ""))
        if not _REGION.fullmatch(region):
            raise SourceObjectMissing(
                f"There is no bucket {bucket}, or its region cannot be found out ({answer.status_code}). Set region.",
                path=bucket,
            )
        return region


def _endpoint(region: str) -> str:
    return f"https://s3.{region}.amazonaws.com{'.cn' if region.startswith('cn-') else ''}"
