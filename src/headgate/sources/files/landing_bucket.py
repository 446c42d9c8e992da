"""Landing zones in a bucket: a folder of each sandbox, reached with the service's own key."""

import time
from collections.abc import Iterator
from datetime import timedelta

import obstore
from obstore.exceptions import BaseError

from headgate.config import Settings
from headgate.errors import BadParameter, SourceObjectMissing
from headgate.model.scope import Tenancy
from headgate.outbound import Outbound
from headgate.sources.files.stores.amazon import AmazonAccount, AmazonKeys
from headgate.sources.files.stores.interface import Listed
from headgate.sources.files.stores.objects import ObjectStore
from headgate.sources.files.stores.refusals import refusal
from headgate.sources.interface import FileRef

__all__ = ["Zone", "sweep_bucket", "zone"]

_SECONDS = 3600
_PER_REQUEST = 1000


class Zone(ObjectStore):
    """What lies below the folder of one sandbox. Nothing has to be there yet."""

    def __init__(self, account: AmazonAccount) -> None:
        super().__init__(account)
        self._top = self.address("")

    def pin(self, address: str) -> FileRef | None:
        """The object at `address`; None for the top, and for where objects lie below."""
        return None if address == self._top else super().pin(address)

    def listed(self, folder: str) -> Iterator[Listed]:
        """The objects and folders in `folder`."""
        try:
            yield from super().listed(folder)
        except SourceObjectMissing:
            if folder != self._top:
                raise

    def upload(self, path: str) -> tuple[str, int]:
        """An address that one file may be PUT to, as `path`, by whoever has it; and until when, in Unix seconds.

        Nothing is reached. Raises BadParameter, SourcePathForbidden, SourceError.
        """
        address = self.address(path)
        bucket, key = self._split(address)
        if address == self._top or path.endswith("/"):
            raise BadParameter(f"{path[:80]!r} names no file; send a name such as in/orders.csv.", parameter="object")
        with self._telling(address):
            signed: str = obstore.sign(self._bucket(bucket), "PUT", key, timedelta(seconds=_SECONDS))
        return signed, int(time.time()) + _SECONDS


def zone(settings: Settings, tenancy: Tenancy) -> Zone:
    """The zone of a sandbox. Raises BadParameter, HostNotAllowed."""
    return Zone(_account(settings, tenancy.folder, tenancy.sandbox))


def sweep_bucket(settings: Settings, before: float) -> int:
    """Delete the objects of all zones that were last written before that moment, in Unix seconds; how many.

    Raises SourceError.
    """
    account, gone = _account(settings), 0
    bucket, *folder = account.folder
    store = account.bucket(bucket)
    try:
        for some in obstore.list(store, "/".join(folder) or None, chunk_size=_PER_REQUEST):
            if old := [each["path"] for each in some if each["last_modified"].timestamp() < before]:
                obstore.delete(store, old)
                gone += len(old)
    except (BaseError, OSError, ValueError) as error:
        raise refusal(error, settings.landing_zone, account.tunnel) from None
    return gone


def _account(settings: Settings, *below: str) -> AmazonAccount:
    """The account, held to what is `below` the folder of all zones.

    Where it is, the operator says: the hosts that users' connections may reach have no part in it.
    """
    bucket, *folder = settings.landing_bucket
    secret = settings.landing_zone_secret_key
    keys = AmazonKeys.of(
        "amazon",
        {
            "s3AccessKey": settings.landing_zone_access_key,
            "s3SecretKey": secret.get_secret_value() if secret else "",
            "serviceUrl": settings.landing_zone_endpoint,
            "region": settings.landing_zone_region,
            "bucketName": bucket,
            "folderPath": "/".join((*folder, *below)),
        },
    )
    return AmazonAccount(keys, Outbound(settings.model_copy(update={"allowed_hosts": ()}), shared=False))
