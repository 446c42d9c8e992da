"""The Data Landing Zone of a sandbox: where files are dropped, and how they get there."""

from collections.abc import Mapping

from headgate.config import Settings
from headgate.errors import BadParameter, LandingZoneClosed
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.exploring import answering
from headgate.service.paging import Parameters, known_parameters
from headgate.sources import connection_specs, landing_upload
from headgate.store import Store

__all__ = ["LandingZones"]

_TYPE = "user_drop_zone"


class LandingZones:
    """What clients ask of the zone. It is a folder, or a part of a bucket, reached as the operator offers it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def container(self, caller: Caller, parameters: Parameters) -> Json:
        """The name of the sandbox's zone, and how many days files stay in it; 0: always. Raises BadParameter."""
        _see_type(known_parameters(parameters, ("type",))[1])
        return {
            "dlzProvider": "Headgate",
            "containerName": caller.scope.sandbox_name,
            "containerTTL": str(self._settings.landing_zone_days),
        }

    def credentials(self, caller: Caller, parameters: Parameters) -> Json:
        """Where files are put. There is no token: whoever may write to that place may drop files.

        In a bucket, an `object` may be named: the address then is one that this file alone may be PUT to, for an hour.
        The key that reads the bucket is never told, for it opens the zones of all. Raises BadParameter,
        LandingZoneClosed, MissingExtra.
        """
        asked = known_parameters(parameters, ("type", "object"))[1]
        _see_type(asked)
        tenancy = self._store.tenants.tenancy(caller.scope)
        zone = f"{tenancy.folder}/{tenancy.sandbox}"
        about = {
            "dlzProvider": "Headgate",
            "containerName": tenancy.sandbox,
            "storageAccountName": tenancy.folder,
            "SASToken": "",
        }
        url, bucket = self._settings.landing_zone_url.rstrip("/"), self._settings.landing_bucket
        if (name := asked.get("object")) is not None:
            if not bucket:
                raise BadParameter(
                    "object is offered where the landing zone lies in a bucket; here, leave it out.", parameter="object"
                )
            spec = next(spec for spec in connection_specs() if spec.name == "landing-zone")
            with answering(spec, {}):
                signed, until = landing_upload(name, self._settings, tenancy)
            return {**about, "SASToken": signed.partition("?")[2], "SASUri": signed, "expiryTime": until}
        if not url and bucket:
            url = f"s3://{'/'.join(bucket)}"
        if not url and tenancy.shared:
            raise LandingZoneClosed
        folder = self._settings.landing_folder
        return {**about, "SASUri": f"{url or (folder.as_uri() if folder else '')}/{zone}"}


def _see_type(asked: Mapping[str, str]) -> None:
    if asked.get("type", _TYPE) != _TYPE:
        raise BadParameter(f"type is {asked['type'][:40]!r}; the only landing zone here is {_TYPE}.", parameter="type")
