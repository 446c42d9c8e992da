"""The Data Landing Zone of a sandbox: where files are dropped, and how they get there."""

from headgate.config import Settings
from headgate.errors import BadParameter, LandingZoneClosed
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.paging import Parameters, known_parameters
from headgate.store import Store

__all__ = ["LandingZones"]

_TYPE = "user_drop_zone"


class LandingZones:
    """What clients ask of the zone. It is a folder, which is reached as the operator offers it."""

    def __init__(self, settings: Settings, store: Store) -> None:
        self._settings = settings
        self._store = store

    def container(self, caller: Caller, parameters: Parameters) -> Json:
        """The name of the sandbox's zone, and how many days files stay in it; 0: always. Raises BadParameter."""
        _see_type(parameters)
        return {
            "dlzProvider": "Headgate",
            "containerName": caller.scope.sandbox_name,
            "containerTTL": str(self._settings.landing_zone_days),
        }

    def credentials(self, caller: Caller, parameters: Parameters) -> Json:
        """Where files are put. There is no token: whoever may write to that place may drop files.

        Raises BadParameter, LandingZoneClosed.
        """
        _see_type(parameters)
        tenancy = self._store.tenants.tenancy(caller.scope)
        url = self._settings.landing_zone_url.rstrip("/")
        if not url and tenancy.shared:
            raise LandingZoneClosed
        url = url or self._settings.landing_folder.as_uri()
        return {
            "dlzProvider": "Headgate",
            "containerName": tenancy.sandbox,
            "storageAccountName": tenancy.folder,
            "SASToken": "",
            "SASUri": f"{url}/{tenancy.folder}/{tenancy.sandbox}",
        }


def _see_type(parameters: Parameters) -> None:
    _, asked = known_parameters(parameters, ("type",))
    if asked.get("type", _TYPE) != _TYPE:
        raise BadParameter(f"type is {asked['type'][:40]!r}; the only landing zone here is {_TYPE}.", parameter="type")
