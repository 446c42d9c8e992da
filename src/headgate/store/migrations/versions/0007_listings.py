"""Indexes that listings of runs follow, in the order of their pages."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"

_SCOPE = ("org_id", "sandbox_id")
_DAY = 86_400_000


def upgrade() -> None:
    op.drop_index("ix_runs_listing", "runs")
    op.drop_index("ix_runs_flow", "runs")
    op.create_index("ix_runs_created", "runs", [*_SCOPE, "created_at", "seq", "state"])
    op.create_index("ix_runs_created_by", "runs", [*_SCOPE, "created_by", "created_at", "seq", "state"])
    op.create_index("ix_runs_flow", "runs", [*_SCOPE, "flow_id", "created_at", "seq", "state"])
    op.create_index("ix_runs_state", "runs", [*_SCOPE, "state", "created_at", "seq"])
    _partial("ix_runs_started_at", "started_at IS NOT NULL", "started_at", "seq")
    _partial("ix_runs_completed_at", "completed_at IS NOT NULL", "completed_at", "seq")
    early = f"(started_at < created_at - {_DAY} OR completed_at < created_at - {_DAY})"
    _partial("ix_runs_early", early)


def _partial(name: str, where: str, *columns: str) -> None:
    condition = sa.text(where)
    op.create_index(name, "runs", [*_SCOPE, *columns], sqlite_where=condition, postgresql_where=condition)
