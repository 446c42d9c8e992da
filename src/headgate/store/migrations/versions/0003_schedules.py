"""Scheduled flows; one run of a flow under way at a time, by the database's word."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.create_table(
        "schedules",
        sa.Column("flow_id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("sandbox_id", sa.String(length=36), nullable=False),
        sa.Column("asked_start", sa.BigInteger(), nullable=False),
        sa.Column("start_at", sa.BigInteger(), nullable=False),
        sa.Column("period", sa.BigInteger()),
        sa.Column("backfill", sa.Boolean(), nullable=False),
        sa.Column("covered_until", sa.BigInteger(), nullable=False),
        sa.Column("made_until", sa.BigInteger(), nullable=False),
        sa.Column("due_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["flow_id"], ["resources.id"], name=op.f("fk_schedules_flow_id_resources"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_schedules_org_id_orgs")),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandboxes.id"], name=op.f("fk_schedules_sandbox_id_sandboxes")),
        sa.PrimaryKeyConstraint("flow_id", name=op.f("pk_schedules")),
    )
    op.create_index("ix_schedules_due", "schedules", ["due_at"])

    op.add_column("runs", sa.Column("due_at", sa.BigInteger()))
    due = sa.text("parent_id IS NULL AND due_at IS NOT NULL")
    op.create_index("uq_runs_due", "runs", ["flow_id", "due_at"], unique=True, sqlite_where=due, postgresql_where=due)
    # A run whose worker had died could stand beside a later one of its flow: the later one goes on, it waits.
    op.execute(
        "UPDATE runs SET state = 'queued', worker = NULL, lease_until = NULL WHERE state = 'inProgress' AND seq NOT IN "
        "(SELECT max(seq) FROM runs WHERE state = 'inProgress' GROUP BY flow_id)"
    )
    under_way = sa.text("state = 'inProgress'")
    op.create_index(
        "uq_runs_in_progress", "runs", ["flow_id"], unique=True, sqlite_where=under_way, postgresql_where=under_way
    )
