"""Metadata moves from a folder's SQLite to PostgreSQL: all of it or nothing, and nobody goes on with the old one."""

import sqlite3
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from headgate.cli.commands import cli
from headgate.config import Settings
from headgate.errors import MetadataMoved
from headgate.model.runs import RunState
from headgate.sources import connection_specs
from headgate.store import MoveRefused, move, moving, open_store, tables
from tests.conftest import on_postgresql
from tests.deployment import Deployment

SQLITE = next(spec.id for spec in connection_specs() if spec.name == "sqlite")
ODD = {
    "text": "Ünï \u0000 \ud83d\ude00 \\ \t\n'\"",
    "whole": 2**70,
    "part": 0.1,
    "none": None,
    "list": [True, {}],
    "b": 1,
    "a": 2,
}
_VALUES: dict[type[sa.types.TypeEngine[Any]], object] = {
    sa.JSON: ODD,
    sa.BigInteger: 2**53 + 1,
    sa.Integer: -(2**31),
    sa.Boolean: True,
    sa.LargeBinary: bytes(range(256)),
    sa.Text: "line\nnext \\N \\. ünï",
}


@pytest.fixture
def to(database: str) -> str:
    return on_postgresql(database)


@pytest.fixture
def folder(tmp_path: Path) -> Deployment:
    """A deployment with a run that landed, one that waits, and one whose worker is lost; closed."""
    with sqlite3.connect(tmp_path / "source.db") as source:
        source.execute("CREATE TABLE events (at TIMESTAMP)")
        source.executemany("INSERT INTO events VALUES (?)", [(f"2024-01-0{day} 10:00:00",) for day in (1, 2, 3)])
    source.close()
    here = Deployment(tmp_path)
    flows = [
        here.flow(SQLITE, {"path": str(tmp_path / "source.db")}, {"tableName": "events"}, table=name, mode="append")
        for name in ("target", "other")
    ]
    here.run(flows[0], "2024-01-01", "2024-01-02", "at")
    lost = here.enqueue(flows[1], "2024-01-02", "2024-01-03", "at")
    assert here.store.queue.claim("lost", lease=15) is not None
    here.abandon(lost)
    here.enqueue(flows[0], "2024-01-03", "2024-01-04", "at")
    with here.store._engine.begin() as connection:
        _fill(connection)
    here.close()
    return here


def _fill(connection: sa.Connection) -> None:
    """A row more in every table, with values that two databases may write differently."""
    for table in tables.metadata.sorted_tables:
        row: dict[str, object] = {}
        for column in table.c:
            if column.foreign_keys:
                [key] = column.foreign_keys
                row[column.name] = connection.execute(
                    sa.select(key.column).order_by(key.column.desc()).limit(1)
                ).scalar()
            elif column is not table.autoincrement_column:
                kind = next((kind for kind in _VALUES if isinstance(column.type, kind)), None)
                length = getattr(column.type, "length", None) or 9
                row[column.name] = _VALUES[kind] if kind else ("ß" * 40 + table.name)[-min(length, 40) :]
        if table.name == "runs":  # not for a worker
            row |= {"state": "failed", "untidy": False, "due_at": None}
        connection.execute(sa.insert(table).values(row))


def _all(engine: sa.Engine) -> dict[str, list[str]]:
    with engine.connect() as connection:
        found = {each.name: connection.execute(sa.select(each)).all() for each in tables.metadata.sorted_tables}
    engine.dispose()
    return {name: sorted(repr(tuple(row)) for row in rows) for name, rows in found.items()}


def _has_tables(to: str) -> bool:
    engine = sa.create_engine(to)
    names = sa.inspect(engine).get_table_names()
    engine.dispose()
    return bool(names)


def test_everything_is_there_afterwards_and_runs_go_on(folder: Deployment, to: str, tmp_path: Path) -> None:
    before = _all(sa.create_engine(folder.settings.metadata))
    counted = move(folder.settings, to)
    assert _all(sa.create_engine(to)) == before
    assert counted == {name: len(rows) for name, rows in before.items()}
    assert min(counted.values()) >= 1
    with pytest.raises(MetadataMoved, match="HEADGATE_METADATA_URL"):
        open_store(folder.settings)
    with pytest.raises(MetadataMoved):
        move(folder.settings, to)

    there = Deployment(tmp_path, metadata_url=to)
    scoped = there.store.scoped(folder.scope)
    for _ in range(2):
        there.attempt().execute()
    runs = [scoped.run(row) for row in _ids(there, "state <> 'failed'")]
    assert [(run.state, run.attempt) for run in runs] == [(RunState.SUCCESS, n) for n in (1, 2, 1)]
    assert [len(there.rows(name)) for name in ("target", "other")] == [2, 1]
    connection = folder._flows[runs[0].flow_id].frozen["source"]["connectionId"]
    assert scoped.secret(connection) == {"path": str(tmp_path / "source.db")}
    assert len(set(_ids(there, "true"))) == 4
    flow = there.flow(SQLITE, {"path": str(tmp_path / "source.db")}, {"tableName": "events"}, mode="append")
    there.run(flow, "2024-01-02", "2024-01-03", "at")  # numbers go on where they were
    assert len(there.rows()) == 3
    there.close()


def _ids(deployment: Deployment, where: str) -> list[str]:
    with deployment.store._engine.connect() as connection:
        return list(connection.execute(sa.text(f"SELECT id FROM runs WHERE {where} ORDER BY seq")).scalars())


def test_nobody_may_have_it_open(folder: Deployment, to: str) -> None:
    store = open_store(folder.settings)
    store.ready()
    with pytest.raises(MoveRefused, match=r"is in use: .*Stop the service and every worker"):
        move(folder.settings, to)
    store.close()
    assert not _has_tables(to)
    move(folder.settings, to)


def test_a_value_that_does_not_fit_is_named_and_nothing_moves(folder: Deployment, to: str) -> None:
    for wrong, said in (("x" * 300, r"too long .*COPY orgs, line 1, column name"), ("a\0b", r"Row ORG of orgs: .*NUL")):
        with sqlite3.connect(folder.settings.data / "metadata.db") as database:
            database.execute("UPDATE orgs SET name = ? WHERE id = 'ORG'", (wrong,))
        database.close()
        with pytest.raises(MoveRefused, match=said):
            move(folder.settings, to)
        assert not _has_tables(to)
    open_store(folder.settings).close()


def test_broken_off_it_may_be_repeated(tmp_path: Path, to: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before the commit nothing is there; after it, with the old one not marked yet, all is, and is only compared."""

    folder = Deployment(tmp_path)
    folder.close()

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    for name, there in (("_stored", False), ("_mark", True)):
        with monkeypatch.context() as patch:
            patch.setattr(moving, name, killed)
            with pytest.raises(KeyboardInterrupt):
                move(folder.settings, to)
        assert _has_tables(to) is there
    engine = sa.create_engine(to)
    with engine.begin() as connection:
        was = connection.execute(sa.select(tables.orgs.c.name)).scalar()
        connection.execute(sa.update(tables.orgs).values(name="other"))
    with pytest.raises(MoveRefused, match="not this folder's: orgs differ"):
        move(folder.settings, to)
    with engine.begin() as connection:
        connection.execute(sa.update(tables.orgs).values(name=was))
    engine.dispose()
    assert move(folder.settings, to)["orgs"] == 1
    with pytest.raises(MetadataMoved):
        open_store(folder.settings)


def test_by_the_command_line(tmp_path: Path, to: str) -> None:
    data = tmp_path / "data"
    open_store(Settings(data=data)).close()

    def said(*arguments: str, code: int = 0, **environment: str) -> str:
        done = CliRunner().invoke(cli, [*arguments, "--data", str(data)], env={"COLUMNS": "200", **environment})
        assert done.exit_code == code, done.output
        return done.output

    assert "current" in said("db", "status")
    assert "has the newest revision" in said("db", "upgrade")
    secret = "postgresql+psycopg://me:hidden@db.example.com/headgate"
    refused = said("db", "move", "--to", secret, code=2)
    assert "PGPASSWORD" in refused
    assert "hidden" not in refused
    assert "to PostgreSQL only" in said("db", "move", "--to", "sqlite:///other.db", code=4)
    assert "compared by count and checksum" in said("db", "move", HEADGATE_MOVE_TO=to)
    assert "moved" in said("db", "status")
    assert "was moved to PostgreSQL" in said("db", "upgrade", code=1)
    assert "current" in said("db", "status", HEADGATE_METADATA_URL=to)
    assert "in PostgreSQL already" in said("db", "move", HEADGATE_METADATA_URL=to, HEADGATE_MOVE_TO=to, code=4)
