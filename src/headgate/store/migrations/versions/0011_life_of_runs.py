"""Splits that are staged already, what became of earlier attempts, runs that may have left files, fair claiming."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    op.add_column("runs", sa.Column("past_attempts", sa.JSON(), nullable=False, server_default=sa.text("'[]'")))
    op.add_column("runs", sa.Column("untidy", sa.Boolean(), nullable=False, server_default=sa.false()))
    _partial("ix_runs_untidy", "untidy", "state", "updated_at")
    _partial("ix_runs_waiting", "state IN ('scheduled', 'queued')", "org_id", "seq", "state", "flow_id", "start_at")
    op.create_table(
        "splits",
        sa.Column("run_id", sa.String(36), sa.ForeignKey("runs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("fence", sa.Integer(), primary_key=True),
        sa.Column("split_id", sa.String(255), primary_key=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("total", sa.Integer(), nullable=False),
        sa.Column("reading", sa.String(64), nullable=False),
        sa.Column("digest", sa.String(64)),
        sa.Column("files", sa.JSON(), nullable=False),
        sa.Column("uncompressed", sa.BigInteger(), nullable=False),
        sa.Column("input_files", sa.Integer(), nullable=False),
        sa.Column("input_bytes", sa.BigInteger(), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("staged_at", sa.BigInteger(), nullable=False),
    )


def _partial(name: str, where: str, *columns: str) -> None:
    op.create_index(name, "runs", list(columns), sqlite_where=sa.text(where), postgresql_where=sa.text(where))
