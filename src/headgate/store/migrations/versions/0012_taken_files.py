"""The files that a flow has taken, and as of when."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    op.add_column("runs", sa.Column("files_fence", sa.Integer()))
    op.create_table(
        "taken_files",
        sa.Column("flow_id", sa.String(36), sa.ForeignKey("resources.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("digest", sa.String(32), primary_key=True),
        sa.Column("run_id", sa.String(36), primary_key=True),
        sa.Column("fence", sa.Integer(), primary_key=True),
        sa.Column("address", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=False),
        sa.Column("taken_us", sa.BigInteger(), nullable=False),
        sa.Column("late", sa.Boolean(), nullable=False),
    )
    op.create_index("ix_taken_files_run_id", "taken_files", ["run_id", "fence"])
