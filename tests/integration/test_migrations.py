"""An older data folder keeps working: what its tables held is still there after the newest migration."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command
from alembic.config import Config

from headgate import store
from headgate.config import Settings
from headgate.errors import MetadataNewer, MetadataOlder
from headgate.model.orgs import Grant
from headgate.model.resources import now_ms
from headgate.store import Store, migrating, open_store, tables
from tests.conftest import empty_database, on_postgresql


def upgrade(engine: sa.Engine, revision: str) -> None:
    """Bring an empty database to an older revision."""
    config = Config()
    config.set_main_option("script_location", str(migrating._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)


def upgraded(settings: Settings) -> Store:
    """The store of a database that was brought to the newest revision: by an operator where it is on a server."""
    if settings.metadata.startswith("postgresql"):
        with pytest.raises(MetadataOlder, match=r"run `headgate db upgrade`; nothing was changed"):
            open_store(settings)
        assert store.upgrade(settings)[0] in ("0001", "0003", "0014")
    return open_store(settings)


def with_one_client(address: str, data: Path) -> None:
    """An organisation of revision 0003 is opened by today's code."""
    engine = sa.create_engine(address)
    upgrade(engine, "0003")
    digest = hashlib.sha256(b"secret").hexdigest()
    with engine.begin() as old:
        old.execute(sa.text("INSERT INTO orgs VALUES ('ORG', 'Old', 1)"))
        old.execute(
            sa.text("INSERT INTO sandboxes VALUES ('s-1', 'ORG', 'prod', 'Production', 'production', :yes, 1)"),
            {"yes": True},
        )
        old.execute(
            sa.text("INSERT INTO clients VALUES ('hg_old', 'ORG', 'Old client', :digest, 1)"), {"digest": digest}
        )
    engine.dispose()
    opened = upgraded(Settings(data=data, metadata_url=address))
    try:
        assert opened.tenants.secrets("hg_old") == (digest,)
        assert set(opened.tenants.grants("ORG")) == {
            Grant("hg_old", "service", "admin", None),
            Grant("local@headgate", "user", "admin", None),
        }
        [sandbox] = opened.sandboxes.all("ORG")
        assert (sandbox.name, sandbox.state, sandbox.version, sandbox.updated_at) == ("prod", "active", 1, 1)
        assert opened.tenants.scope("ORG", None) is not None
    finally:
        opened.close()


def test_clients_of_an_older_folder_keep_their_secret_and_their_rights(tmp_path: Path) -> None:
    with_one_client(f"sqlite:///{tmp_path / 'metadata.db'}", tmp_path)


def test_clients_of_an_older_postgresql_keep_their_secret_and_their_rights(postgres: str, tmp_path: Path) -> None:
    with empty_database(postgres) as address:
        with_one_client(address.replace("postgresql://", "postgresql+psycopg://", 1), tmp_path)


def test_metadata_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    settings = Settings(data=tmp_path / "data")
    open_store(settings).close()
    engine = sa.create_engine(settings.metadata)
    with engine.begin() as newer:
        newer.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(MetadataNewer, match=r"has the revision 9999.* up to \d{4}\. Run the Headgate that wrote it"):
        open_store(settings)
    with engine.connect() as left:
        assert left.execute(sa.text("SELECT version_num FROM alembic_version")).scalar() == "9999"
    engine.dispose()


def ends_sessions(address: str, data: Path) -> None:
    """A database of revision 0014 notes ended sessions, and forgets those that are long over."""
    engine = sa.create_engine(address)
    upgrade(engine, "0014")
    opened = upgraded(Settings(data=data, metadata_url=address))
    ended, soon, long_ago = opened.ended_sessions, now_ms() + 60_000, now_ms() - 2 * 86_400_000
    try:
        ended.add("over", long_ago)
        ended.add("first", soon)
        ended.add("first", soon)
        assert [ended.has(digest) for digest in ("over", "first", "other")] == [False, True, False]
        with engine.connect() as connection:
            assert connection.execute(sa.select(tables.ended_sessions)).all() == [("first", soon)]
    finally:
        opened.close()
        engine.dispose()


def test_sessions_are_ended_in_an_older_folder(tmp_path: Path) -> None:
    ends_sessions(f"sqlite:///{tmp_path / 'metadata.db'}", tmp_path)


def test_sessions_are_ended_in_an_older_postgresql(database: str, tmp_path: Path) -> None:
    ends_sessions(database.replace("postgresql://", "postgresql+psycopg://", 1), tmp_path)


def test_migrations_have_one_head_and_make_the_tables_that_are_declared(tmp_path: Path) -> None:
    engine = sa.create_engine(f"sqlite:///{tmp_path / 'metadata.db'}")
    upgrade(engine, "head")  # refuses more heads than one
    made = set(sa.inspect(engine).get_table_names())
    engine.dispose()
    assert made - {"alembic_version"} == set(tables.metadata.tables)


def test_several_who_start_at_once_make_the_tables_once(tmp_path: Path, database: str) -> None:
    settings = Settings(data=tmp_path, metadata_url=on_postgresql(database))
    with ThreadPoolExecutor(4) as starting:
        for opened in [each.result() for each in [starting.submit(open_store, settings) for _ in range(4)]]:
            opened.ready()
            opened.close()
    assert store.revisions(settings)[0] == migrating.newest()
