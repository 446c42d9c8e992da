"""The index of runs that repeat others holds no others: most runs repeat none, and misled the planner."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    repeats = sa.text("parent_id IS NOT NULL")
    op.drop_index("ix_runs_parent", "runs")
    op.create_index("ix_runs_parent", "runs", ["parent_id"], sqlite_where=repeats, postgresql_where=repeats)
