"""The revisions of the tables: which one a database has, and how it gets the newest."""

from pathlib import Path

import sqlalchemy as sa

from headgate.errors import MetadataMoved, MetadataNewer, MetadataOlder

__all__ = ["MOVED", "ensure_tables", "migrate", "newest", "revision", "take_time"]

MOVED = "moved-"
"""Begins what stands in place of its revision in a database that was moved elsewhere."""

_MIGRATING = 0x4865_6164  # the advisory lock of processes that start at the same time
_MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """The revision that this Headgate needs."""
    return max(path.stem.split("_")[0] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def revision(engine: sa.Engine) -> str | None:
    """The revision that a database has, None when it has no tables. Raises MetadataMoved, MetadataNewer."""
    with engine.connect().execution_options(read_only=True) as connection:
        if not sa.inspect(connection).has_table("alembic_version"):
            return None
        found: str | None = connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalar()
    if found is not None and found.startswith(MOVED):
        raise MetadataMoved
    if found is not None and not any((_MIGRATIONS / "versions").glob(f"{found}_*.py")):
        raise MetadataNewer(
            f"The metadata database has the revision {found}, and this Headgate knows those up to {newest()}. "
            "Run the Headgate that wrote it, or a newer one; nothing was changed."
        )
    return found


def ensure_tables(engine: sa.Engine) -> None:
    """See that the tables can be used, and make them in an empty database.

    A database of an older revision is upgraded when it is embedded: then nobody else works with it. On a server
    others may, and so it is for an operator to say when. Raises MetadataMoved, MetadataNewer, MetadataOlder.
    """
    found = revision(engine)
    if found == newest():
        return
    if found is not None and engine.dialect.name == "postgresql":
        raise MetadataOlder(
            f"The metadata database has the revision {found}, and this Headgate needs {newest()}. "
            "Stop every service and worker on it, save it, and run `headgate db upgrade`; nothing was changed."
        )
    with engine.begin() as connection:
        migrate(connection)


def migrate(connection: sa.Connection) -> None:
    """Bring the tables to the newest revision, within the transaction of `connection`.

    Processes that do so at the same time do it one after another.
    """
    from alembic import command
    from alembic.config import Config

    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS))
    if connection.dialect.name == "postgresql":
        take_time(connection)
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_MIGRATING)))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")


def take_time(connection: sa.Connection) -> None:
    """Let the transaction of a PostgreSQL take as long as large tables do."""
    for wait in ("lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"):
        connection.exec_driver_sql(f"SET LOCAL {wait} = 0")
