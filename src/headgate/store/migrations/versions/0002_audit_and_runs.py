"""Who did what; when runs began and ended; runs that repeat another; what providers add to runs."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "audit",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("sandbox_id", sa.String(length=36), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("client", sa.String(length=255), nullable=False),
        sa.Column("request_id", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("resource_id", sa.String(length=64), nullable=False),
        sa.Column("etag_before", sa.String(length=64)),
        sa.Column("etag_after", sa.String(length=64)),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_listing", "audit", ["org_id", "at"])

    op.add_column("runs", sa.Column("started_at", sa.BigInteger()))
    op.add_column("runs", sa.Column("completed_at", sa.BigInteger()))
    op.add_column("runs", sa.Column("parent_id", sa.String(length=36)))
    op.add_column("runs", sa.Column("extra", sa.JSON(), nullable=False, server_default="{}"))
    op.create_index("ix_runs_parent", "runs", ["parent_id"])
    runs = sa.table(
        "runs", *(sa.column(name) for name in ("started_at", "completed_at")), sa.column("metrics", sa.JSON)
    )
    for column, member in (("started_at", "startedAtUTC"), ("completed_at", "completedAtUTC")):
        at = sa.cast(runs.c.metrics["durationSummary"][member].as_string(), sa.BigInteger)
        op.execute(sa.update(runs).values({column: at}))
