"""Metadata: resources, runs and their queue, tenants and secrets, in SQLite or PostgreSQL.

`open_store()` gives a `Store`. Everything a caller of the API can reach goes through `Store.scoped(scope)`,
which is bound to one organisation and sandbox; only the queue and the tenants look across.
"""

from headgate.store.audit import Audit, AuditEntry, AuditFilter
from headgate.store.catalog import CatalogStore, Slice
from headgate.store.changes import Taken
from headgate.store.database import Store, open_store, revisions, upgrade
from headgate.store.deliveries import ClaimedDelivery, Deliveries
from headgate.store.ended_sessions import EndedSessions
from headgate.store.engines import place
from headgate.store.listing import Page
from headgate.store.moving import MoveRefused, move
from headgate.store.queue import Claim, Queue
from headgate.store.reconciling import Reconciling, Target
from headgate.store.rotation import KeyUse, Rotation, SecretsAdmin
from headgate.store.run_log import News, RunFeed, Seen
from headgate.store.sandboxes import Sandboxes
from headgate.store.scoped import InUse, NameTaken, ScopedStore
from headgate.store.taken_files import TakenFiles
from headgate.store.tenants import Tenants
from headgate.store.workers import Load, RegisteredWorker, Workers

__all__ = [
    "Audit",
    "AuditEntry",
    "AuditFilter",
    "CatalogStore",
    "Claim",
    "ClaimedDelivery",
    "Deliveries",
    "EndedSessions",
    "InUse",
    "KeyUse",
    "Load",
    "MoveRefused",
    "NameTaken",
    "News",
    "Page",
    "Queue",
    "Reconciling",
    "RegisteredWorker",
    "Rotation",
    "RunFeed",
    "Sandboxes",
    "ScopedStore",
    "SecretsAdmin",
    "Seen",
    "Slice",
    "Store",
    "Taken",
    "TakenFiles",
    "Target",
    "Tenants",
    "Workers",
    "move",
    "open_store",
    "place",
    "revisions",
    "upgrade",
]
