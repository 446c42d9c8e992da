"""What webhooks are still to be told, and were told."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    op.create_table(
        "deliveries",
        sa.Column("seq", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("sandbox_id", sa.String(length=36), nullable=False),
        sa.Column("webhook_id", sa.String(length=36), nullable=False),
        sa.Column("event_id", sa.String(length=36), nullable=False),
        sa.Column("event_code", sa.String(length=64), nullable=False),
        sa.Column("run_id", sa.String(length=36), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_until", sa.BigInteger()),
        sa.Column("status", sa.Integer()),
        sa.Column("reason", sa.String(length=500)),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_deliveries_org_id_orgs")),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandboxes.id"], name=op.f("fk_deliveries_sandbox_id_sandboxes")),
        sa.ForeignKeyConstraint(
            ["webhook_id"], ["resources.id"], name=op.f("fk_deliveries_webhook_id_resources"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("seq", name=op.f("pk_deliveries")),
        sa.UniqueConstraint("id", name=op.f("uq_deliveries_id")),
    )
    op.create_index("ix_deliveries_listing", "deliveries", ["webhook_id", "created_at", "seq"])
    op.create_index("ix_deliveries_ended", "deliveries", ["state", "updated_at"])
    pending = sa.text("state = 'pending'")
    for name, columns in (("due", ["due_at", "seq"]), ("claimed", ["webhook_id", "claimed_until"])):
        op.create_index(f"ix_deliveries_{name}", "deliveries", columns, sqlite_where=pending, postgresql_where=pending)
