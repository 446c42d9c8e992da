"""The tables. Times are integer milliseconds since the epoch; JSON columns hold the wire's shapes."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    text,
)

__all__ = [
    "EARLY",
    "WAITING",
    "audit",
    "client_secrets",
    "clients",
    "codes",
    "deliveries",
    "grants",
    "idempotency",
    "links",
    "metadata",
    "orgs",
    "resources",
    "roles",
    "run_log",
    "runs",
    "sandboxes",
    "schedules",
    "secrets",
    "specs",
    "splits",
    "taken_files",
    "tenancy",
    "workers",
]

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# SQLite counts rows by itself only in a column that is exactly INTEGER PRIMARY KEY.
_Sequence = BigInteger().with_variant(Integer(), "sqlite")


# Of a run: that it says to have begun or ended well before it was made, as providers may tell of theirs.
EARLY = "(started_at < created_at - 86400000 OR completed_at < created_at - 86400000)"

# Of a run: that it waits for a worker. Written as here, or SQLite does not see that an index has the rows.
WAITING = "state IN ('scheduled', 'queued')"


def _partial(name: str, where: str, *columns: str) -> Index:
    return Index(name, *columns, sqlite_where=text(where), postgresql_where=text(where))


def _scope() -> tuple[Column[str], Column[str]]:
    return (
        Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
        Column("sandbox_id", String(36), ForeignKey("sandboxes.id"), nullable=False),
    )


def _audit() -> tuple[Column[int] | Column[str], ...]:
    return (
        Column("created_at", BigInteger, nullable=False),
        Column("updated_at", BigInteger, nullable=False),
        Column("created_by", String(255), nullable=False),
        Column("updated_by", String(255), nullable=False),
        Column("created_client", String(255), nullable=False),
        Column("updated_client", String(255), nullable=False),
        Column("etag", String(64), nullable=False),
    )


orgs = Table(
    "orgs",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

sandboxes = Table(
    "sandboxes",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("title", String(255), nullable=False),
    Column("type", String(32), nullable=False),
    Column("is_default", Boolean, nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("state", String(32), nullable=False),
    Column("version", Integer, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("updated_by", String(255), nullable=False),
    UniqueConstraint("org_id", "name"),
)

clients = Table(
    "clients",
    metadata,
    Column("id", String(128), primary_key=True),
    Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("issuer", String(512), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

client_secrets = Table(
    "client_secrets",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("client_id", String(128), ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("expires_at", BigInteger),
    Index("ix_client_secrets_client_id", "client_id"),
)

codes = Table(
    "codes",
    metadata,
    Column("sha256", String(64), primary_key=True),
    Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
    Column("client_id", String(128), ForeignKey("clients.id", ondelete="CASCADE"), nullable=False),
    Column("user_id", String(255), nullable=False),
    Column("expires_at", BigInteger, nullable=False),
)

roles = Table(
    "roles",
    metadata,
    Column("org_id", String(64), ForeignKey("orgs.id"), primary_key=True),
    Column("name", String(64), primary_key=True),
    Column("permissions", JSON, nullable=False),
)

grants = Table(
    "grants",
    metadata,
    Column("id", String(36), primary_key=True),
    Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
    Column("sandbox_id", String(36), ForeignKey("sandboxes.id")),  # NULL: the whole organisation
    Column("kind", String(16), nullable=False),
    Column("principal", String(255), nullable=False),
    Column("role", String(64), nullable=False),
    Column("created_at", BigInteger, nullable=False),
    Column("created_by", String(255), nullable=False),
    Index("ix_grants_principal", "org_id", "kind", "principal"),
)

# One row: how often organisations, sandboxes, clients, roles or grants changed.
tenancy = Table("tenancy", metadata, Column("revision", BigInteger, nullable=False))

resources = Table(
    "resources",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("kind", String(32), nullable=False),
    *_scope(),
    Column("name", String(1024), nullable=False),
    Column("state", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    Column("frozen", JSON, nullable=False),
    *_audit(),
    Index("ix_resources_listing", "org_id", "sandbox_id", "kind", "seq"),
    Index("ix_resources_name", "org_id", "sandbox_id", "kind", "name"),
    Index(
        "uq_resources_dataset_name",
        "org_id",
        "sandbox_id",
        "name",
        unique=True,
        sqlite_where=text("kind = 'dataSets'"),
        postgresql_where=text("kind = 'dataSets'"),
    ),
)

specs = Table(
    "specs",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    Column("org_id", String(64), ForeignKey("orgs.id"), nullable=False),
    Column("collection", String(32), nullable=False),
    Column("body", JSON, nullable=False),
    *_audit(),
    Index("ix_specs_listing", "org_id", "collection", "seq"),
)

links = Table(
    "links",
    metadata,
    Column("from_id", String(36), ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    Column("to_id", String(36), primary_key=True),
    *_scope(),
    Index("ix_links_to_id", "to_id"),
)

secrets = Table(
    "secrets",
    metadata,
    Column("connection_id", String(36), ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    *_scope(),
    Column("sealed", LargeBinary, nullable=False),
)

runs = Table(
    "runs",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    *_scope(),
    Column("sandbox_name", String(255), nullable=False),
    Column("flow_id", String(36), nullable=False),
    Column("dataset_id", String(36)),
    Column("reverted_at", BigInteger),
    Column("flow_spec", JSON, nullable=False),
    Column("state", String(32), nullable=False),
    Column("params", JSON, nullable=False),
    Column("window_start", BigInteger, nullable=False),
    Column("window_end", BigInteger, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("delta_column", JSON),
    Column("frozen", JSON, nullable=False),
    Column("metrics", JSON, nullable=False),
    Column("activities", JSON, nullable=False),
    Column("snapshot_id", String(64)),
    Column("attempt", Integer, nullable=False),
    Column("fence", Integer, nullable=False),
    Column("worker", String(64)),
    Column("lease_until", BigInteger),
    Column("cancel_requested", Boolean, nullable=False),
    Column("started_at", BigInteger),
    Column("completed_at", BigInteger),
    Column("parent_id", String(36)),
    Column("due_at", BigInteger),
    Column("extra", JSON, nullable=False),
    Column("past_attempts", JSON, nullable=False, server_default=text("'[]'")),
    Column("untidy", Boolean, nullable=False, server_default=false()),  # an attempt was lost, or files may be left
    Column("files_fence", Integer),  # what the files that landed were noted under
    *_audit(),
    # Listings: each in the order of its pages, then with what is often filtered by besides.
    Index("ix_runs_created", "org_id", "sandbox_id", "created_at", "seq", "state", "started_at"),
    Index("ix_runs_created_by", "org_id", "sandbox_id", "created_by", "created_at", "seq", "state", "flow_id"),
    Index("ix_runs_flow", "org_id", "sandbox_id", "flow_id", "created_at", "seq", "state", "started_at"),
    Index("ix_runs_state", "org_id", "sandbox_id", "state", "created_at", "seq"),
    _partial("ix_runs_started_at", "started_at IS NOT NULL", "org_id", "sandbox_id", "started_at", "seq"),
    _partial("ix_runs_completed_at", "completed_at IS NOT NULL", "org_id", "sandbox_id", "completed_at", "seq"),
    _partial("ix_runs_early", EARLY, "org_id", "sandbox_id"),
    Index("ix_runs_flow_state", "flow_id", "state", "seq"),  # whether an earlier run of a flow is unfinished
    Index("ix_runs_queue", "state", "start_at"),
    _partial("ix_runs_waiting", WAITING, "org_id", "seq", "state", "flow_id", "start_at"),
    _partial("ix_runs_untidy", "untidy", "state", "updated_at"),
    _partial("ix_runs_parent", "parent_id IS NOT NULL", "parent_id"),
    Index("ix_runs_dataset", "org_id", "sandbox_id", "dataset_id", "created_at", "seq"),
    Index(
        "ix_runs_reverted",
        "org_id",
        "sandbox_id",
        "created_at",
        "seq",
        sqlite_where=text("reverted_at IS NOT NULL"),
        postgresql_where=text("reverted_at IS NOT NULL"),
    ),
    # Whatever workers do at the same time, one run of a flow is under way, and one is made for a due time.
    Index(
        "uq_runs_in_progress",
        "flow_id",
        unique=True,
        sqlite_where=text("state = 'inProgress'"),
        postgresql_where=text("state = 'inProgress'"),
    ),
    Index(
        "uq_runs_due",
        "flow_id",
        "due_at",
        unique=True,
        sqlite_where=text("parent_id IS NULL AND due_at IS NOT NULL"),
        postgresql_where=text("parent_id IS NULL AND due_at IS NOT NULL"),
    ),
)

splits = Table(
    "splits",
    metadata,
    Column("run_id", String(36), ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("split_id", String(255), primary_key=True),
    Column("attempt", Integer, nullable=False),
    Column("total", Integer, nullable=False),
    Column("reading", String(64), nullable=False),
    Column("digest", String(64)),
    Column("files", JSON, nullable=False),
    Column("uncompressed", BigInteger, nullable=False),
    Column("input_files", Integer, nullable=False),
    Column("input_bytes", BigInteger, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("staged_at", BigInteger, nullable=False),
)

run_log = Table(
    "run_log",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("run_id", String(36), ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("level", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Index("ix_run_log_run_id", "run_id", "seq"),
)

taken_files = Table(
    "taken_files",
    metadata,
    Column("flow_id", String(36), ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    Column("digest", String(32), primary_key=True),
    Column("run_id", String(36), primary_key=True),
    Column("fence", Integer, primary_key=True),
    Column("address", Text, nullable=False),
    Column("version", Text, nullable=False),
    Column("taken_us", BigInteger, nullable=False),
    Column("late", Boolean, nullable=False),
    Index("ix_taken_files_run_id", "run_id", "fence"),
)

schedules = Table(
    "schedules",
    metadata,
    Column("flow_id", String(36), ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
    *_scope(),
    Column("asked_start", BigInteger, nullable=False),
    Column("start_at", BigInteger, nullable=False),
    Column("period", BigInteger),  # milliseconds
    Column("backfill", Boolean, nullable=False),
    Column("covered_until", BigInteger, nullable=False),
    Column("made_until", BigInteger, nullable=False),
    Column("due_at", BigInteger),  # none while the flow is not enabled
    Index("ix_schedules_due", "due_at"),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("id", String(36), nullable=False, unique=True),
    *_scope(),
    Column("webhook_id", String(36), ForeignKey("resources.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", String(36), nullable=False),
    Column("event_code", String(64), nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("payload", JSON, nullable=False),
    Column("state", String(32), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", BigInteger, nullable=False),
    Column("claimed_until", BigInteger),
    Column("status", Integer),
    Column("reason", String(500)),
    Column("created_at", BigInteger, nullable=False),
    Column("updated_at", BigInteger, nullable=False),
    Index("ix_deliveries_listing", "webhook_id", "created_at", "seq"),
    Index("ix_deliveries_ended", "state", "updated_at"),
    _partial("ix_deliveries_due", "state = 'pending'", "due_at", "seq"),
    _partial("ix_deliveries_claimed", "state = 'pending'", "webhook_id", "claimed_until"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("org_id", String(64), primary_key=True),
    Column("sandbox_id", String(36), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("body_sha256", String(64), nullable=False),
    Column("run_id", String(36), nullable=False),
    Column("created_at", BigInteger, nullable=False),
)

# Which workers there are. One that has not been seen for long has gone without saying so.
workers = Table(
    "workers",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("version", String(32), nullable=False),
    Column("places", Integer, nullable=False),
    Column("started_at", BigInteger, nullable=False),
    Column("seen_at", BigInteger, nullable=False),
)

# Sessions of the console that were ended before their time, by the SHA-256 of their id.
ended_sessions = Table(
    "ended_sessions",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("ends_at", BigInteger, nullable=False),
    Index("ix_ended_sessions_ends", "ends_at"),
)

audit = Table(
    "audit",
    metadata,
    Column("seq", _Sequence, primary_key=True, autoincrement=True),
    Column("at", BigInteger, nullable=False),
    Column("org_id", String(64), nullable=False),
    Column("sandbox_id", String(36), nullable=False),
    Column("principal", String(255), nullable=False),
    Column("client", String(255), nullable=False),
    Column("request_id", String(64), nullable=False),
    Column("action", String(32), nullable=False),
    Column("kind", String(32), nullable=False),
    Column("resource_id", String(64), nullable=False),
    Column("etag_before", String(64)),
    Column("etag_after", String(64)),
    Column("detail", Text),
    Index("ix_audit_listing", "org_id", "at"),
)
