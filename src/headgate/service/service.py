"""The use-cases in one place."""

from collections.abc import Callable, Mapping

from headgate.auth import Gate, Issuers, Tokens
from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.permissions import Permission
from headgate.model.scope import Caller, Principal
from headgate.service.audit import AuditLog
from headgate.service.batches import Batches
from headgate.service.connections import Connections, SourceConnections, TargetConnections
from headgate.service.data_access import DataAccess
from headgate.service.datasets import Datasets
from headgate.service.estimates import Estimates
from headgate.service.exploring import Exploring
from headgate.service.flows import Flows
from headgate.service.identity import Identity
from headgate.service.insights import Insights
from headgate.service.landing_zones import LandingZones
from headgate.service.limits import Limits
from headgate.service.mapping_sets import MappingSets
from headgate.service.paging import Listings
from headgate.service.people import People
from headgate.service.queries import Queries
from headgate.service.registry import Registry
from headgate.service.run_events import RunEvents
from headgate.service.runs import Runs
from headgate.service.sandboxes import Sandboxes
from headgate.service.schema_import import SchemaImport
from headgate.service.sessions import Sessions
from headgate.service.specs import Specs
from headgate.service.tables import Tables
from headgate.service.webhooks import Webhooks
from headgate.service.windows import Windows
from headgate.service.workers import Workers
from headgate.sources import connection_specs, flow_specs, take_manifests
from headgate.store import Store
from headgate.targets import Lake

__all__ = ["Service"]


class Service:
    """All that a face of Headgate needs. `wake` is called after a run was stored, to start a worker on it."""

    def __init__(self, settings: Settings, store: Store, wake: Callable[[], None]) -> None:
        take_manifests(settings.manifests)
        listings = Listings(settings.keys, strict=settings.strict)
        tokens = Tokens(settings.keys, settings.public_url)
        issuers = Issuers(tokens, settings.issuers)
        self.code_flows = issuers.code_flows
        self._gate = Gate(issuers, store.tenants, strict=settings.strict)
        self._store = store
        self.identity = Identity(settings, store, tokens)
        self.sessions = Sessions(settings.keys / "console.key", store)
        self.connection_specs = Specs("connectionSpecs", connection_specs(), store, listings)
        self.flow_specs = Specs("flowSpecs", flow_specs(), store, listings)
        self.connections = Connections(store, listings, settings)
        self.source_connections = SourceConnections(store, listings, settings)
        self._lake = Lake(settings.warehouse)
        self.target_connections = TargetConnections(store, listings, self._lake)
        self.flows = Flows(store, listings, settings)
        self.webhooks = Webhooks(store, listings, settings)
        self._limits = Limits(settings)
        self.runs = Runs(settings, store, listings, self._limits, wake)
        self.estimates = Estimates(settings, store)
        self.windows = Windows(store)
        self.run_events = RunEvents(store, settings)
        self.registry = Registry(store)
        self.mapping_sets = MappingSets(store)
        self.datasets = Datasets(store, self._lake)
        self.batches = Batches(store, self._lake)
        self.data_access = DataAccess(store, self._lake)
        self.people = People(settings, store)
        self.workers = Workers(store)
        self.audit = AuditLog(store)
        self.tables = Tables(store, self._lake)
        self.queries = Queries(settings, store, self._lake)
        self.insights = Insights(store)
        self.exploring = Exploring(store, settings)
        self.landing_zones = LandingZones(settings, store)
        self.schema_import = SchemaImport(self.registry, self.mapping_sets, self.exploring)
        self.sandboxes = Sandboxes(store, self._lake)

    def authenticate(self, headers: Mapping[str, str], *, request_id: str = "", whole_org: bool = False) -> Caller:
        """The caller that headers (names in lower case) speak for; with `whole_org`, in no sandbox.

        Raises GatewayError, InvalidRequest, TooManyRequests, Unavailable.
        """
        caller = self._gate.admit(headers, request_id=request_id, whole_org=whole_org)
        self._limits.request(caller)
        return caller

    def still_may(self, headers: Mapping[str, str], permission: Permission) -> bool:
        """Whether headers that let a caller in go on to, with a permission; True where it cannot be told just now."""
        try:
            return permission in self._gate.admit(headers).permissions
        except HeadgateError as error:
            return error.retryable

    def identify(self, headers: Mapping[str, str], *, request_id: str = "") -> Principal:
        """The principal whose token headers bring, wherever it may go. Raises GatewayError, Unavailable."""
        return self._gate.identify(headers, request_id=request_id)

    def record_denied(self, caller: Caller, permission: Permission, what: str) -> None:
        """Write into the audit log that the caller lacked a permission for `what`, a method and an address."""
        self._store.scoped(caller).record_denied(permission, what)

    def ready(self) -> None:
        """See that requests can be served. Raises Unavailable."""
        self._store.ready()

    def close(self) -> None:
        """Close what was opened for reading the lake; the store is its opener's."""
        self._lake.close()
