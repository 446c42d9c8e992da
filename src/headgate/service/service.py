"""The use-cases in one place."""

from collections.abc import Callable, Mapping

from headgate.auth import Gate, Tokens
from headgate.config import Settings
from headgate.model.scope import Caller
from headgate.service.connections import Connections, SourceConnections, TargetConnections
from headgate.service.datasets import Datasets
from headgate.service.flows import Flows
from headgate.service.paging import Listings
from headgate.service.runs import Runs
from headgate.service.specs import Specs
from headgate.sources import connection_specs, flow_specs
from headgate.store import Store

__all__ = ["Service"]


class Service:
    """All that a face of Headgate needs. `wake` is called after a run was stored, to start a worker on it."""

    def __init__(self, settings: Settings, store: Store, wake: Callable[[], None]) -> None:
        listings = Listings(settings.keys)
        self._gate = Gate(Tokens(settings.keys), store.tenants)
        self._store = store
        self.connection_specs = Specs("connectionSpecs", connection_specs())
        self.flow_specs = Specs("flowSpecs", flow_specs())
        self.connections = Connections(store, listings, settings)
        self.source_connections = SourceConnections(store, listings)
        self.target_connections = TargetConnections(store, listings)
        self.flows = Flows(store, listings)
        self.runs = Runs(settings, store, listings, wake)
        self.datasets = Datasets(store)

    def authenticate(self, headers: Mapping[str, str], *, request_id: str = "") -> Caller:
        """The caller that headers (names in lower case) speak for. Raises GatewayError, InvalidRequest."""
        return self._gate.admit(headers, request_id=request_id)

    def ready(self) -> None:
        """See that requests can be served. Raises Unavailable."""
        self._store.ready()
