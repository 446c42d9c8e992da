"""Indexes of listings hold what pages are often filtered by besides, so that no row is read to be passed over.

A row of runs is longer than a page of the database; what stands at its end costs a second one.
"""

from alembic import op

revision = "0009"
down_revision = "0008"

_SCOPE = ("org_id", "sandbox_id")
_INDEXES = {
    "ix_runs_created": (*_SCOPE, "created_at", "seq", "state", "started_at"),
    "ix_runs_created_by": (*_SCOPE, "created_by", "created_at", "seq", "state", "flow_id"),
    "ix_runs_flow": (*_SCOPE, "flow_id", "created_at", "seq", "state", "started_at"),
}


def upgrade() -> None:
    for name, columns in _INDEXES.items():
        op.drop_index(name, "runs")
        op.create_index(name, "runs", list(columns))
