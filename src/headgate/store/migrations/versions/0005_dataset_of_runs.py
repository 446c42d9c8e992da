"""Which dataset a run writes to, when its rows were taken out again, and what batches are found by."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("runs", sa.Column("dataset_id", sa.String(length=36)))
    op.add_column("runs", sa.Column("reverted_at", sa.BigInteger()))
    op.create_index("ix_runs_dataset", "runs", ["org_id", "sandbox_id", "dataset_id", "created_at", "seq"])
    op.create_index(
        "ix_runs_reverted",
        "runs",
        ["org_id", "sandbox_id", "created_at", "seq"],
        sqlite_where=sa.text("reverted_at IS NOT NULL"),
        postgresql_where=sa.text("reverted_at IS NOT NULL"),
    )
    runs = sa.table("runs", sa.column("dataset_id"), sa.column("frozen", sa.JSON))
    op.execute(sa.update(runs).values(dataset_id=runs.c.frozen["target"]["dataSetId"].as_string()))
