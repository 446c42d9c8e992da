"""Roles and grants, several secrets of a client, sign-in codes, and the life of a sandbox."""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    op.create_table(
        "client_secrets",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger()),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_client_secrets_client_id_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_client_secrets")),
    )
    op.create_index("ix_client_secrets_client_id", "client_secrets", ["client_id"])
    op.create_table(
        "codes",
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("user_id", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_codes_org_id_orgs")),
        sa.ForeignKeyConstraint(
            ["client_id"], ["clients.id"], name=op.f("fk_codes_client_id_clients"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_codes")),
    )
    op.create_table(
        "roles",
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_roles_org_id_orgs")),
        sa.PrimaryKeyConstraint("org_id", "name", name=op.f("pk_roles")),
    )
    op.create_table(
        "grants",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("org_id", sa.String(length=64), nullable=False),
        sa.Column("sandbox_id", sa.String(length=36)),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("principal", sa.String(length=255), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.ForeignKeyConstraint(["org_id"], ["orgs.id"], name=op.f("fk_grants_org_id_orgs")),
        sa.ForeignKeyConstraint(["sandbox_id"], ["sandboxes.id"], name=op.f("fk_grants_sandbox_id_sandboxes")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_grants")),
    )
    op.create_index("ix_grants_principal", "grants", ["org_id", "kind", "principal"])
    tenancy = op.create_table("tenancy", sa.Column("revision", sa.BigInteger(), nullable=False))
    op.execute(sa.insert(tenancy).values(revision=1))
    _sandboxes()
    _clients()


def _sandboxes() -> None:
    for column in (
        sa.Column("state", sa.String(length=32), nullable=False, server_default="active"),
        sa.Column("version", sa.Integer(), nullable=False, server_default="1"),
        sa.Column("updated_at", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("created_by", sa.String(length=255), nullable=False, server_default="setup"),
        sa.Column("updated_by", sa.String(length=255), nullable=False, server_default="setup"),
    ):
        op.add_column("sandboxes", column)
    op.execute("UPDATE sandboxes SET updated_at = created_at")


def _clients() -> None:
    """Each client's secret moves to its own table; whoever could call until now keeps every right."""
    connection, present = op.get_bind(), time.time_ns() // 1_000_000
    clients = sa.table("clients", *(sa.column(name) for name in ("id", "org_id", "secret_sha256", "created_at")))
    secrets = sa.table("client_secrets", *(sa.column(name) for name in ("id", "client_id", "sha256", "created_at")))
    names = ("id", "org_id", "kind", "principal", "role", "created_at", "created_by")
    grants = sa.table("grants", *(sa.column(name) for name in names))
    known = connection.execute(sa.select(clients)).all()
    admins = {(row.org_id, "service", row.id) for row in known}
    admins |= {(row.org_id, "user", "local@headgate") for row in known}
    for row in known:
        secret = {"client_id": row.id, "sha256": row.secret_sha256, "created_at": row.created_at}
        connection.execute(sa.insert(secrets).values(id=str(uuid.uuid4()), **secret))
    for org_id, kind, principal in sorted(admins):
        who = {"org_id": org_id, "kind": kind, "principal": principal, "role": "admin", "created_by": "setup"}
        connection.execute(sa.insert(grants).values(id=str(uuid.uuid4()), created_at=present, **who))
    op.drop_column("clients", "secret_sha256")
    op.add_column("clients", sa.Column("issuer", sa.String(length=512), nullable=False, server_default=""))
