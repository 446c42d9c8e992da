"""`headgate doctor`, `config show` and `completion`."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from headgate.cli.commands import cli
from tests.integration.commanding import Commands
from tests.integration.face import Face, serving


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("doctor")) as face:
        yield face


def found(headgate: Commands, code: int = 0) -> dict[str, Any]:
    done = headgate.whole("doctor", "-o", "json")
    assert done.exit_code == code, (done.output, done.exception)
    assert isinstance(done.exception, SystemExit) or not code, done.exc_info
    return {each["check"]: each for each in json.loads(done.stdout)}


def test_what_is_well_and_what_is_not(face: Face) -> None:
    headgate = Commands(face)
    well = found(headgate)
    assert {each["state"] for each in well.values()} <= {"ok", "note"}
    assert {"python", "modes", "metadata", "secrets", "workers", "engine", "drivers", "service", "clock"} <= set(well)

    key = next(face.settings.keys.iterdir())
    key.chmod(0o644)
    run = face.run(face.flow(), deltaColumn={"name": "updated_at"}).json()["id"]
    engine = sa.create_engine(face.metadata)
    with engine.begin() as database:
        database.execute(sa.text("UPDATE runs SET due_at = 0 WHERE id = :id"), {"id": run})
    ill = found(headgate, code=1)
    assert f"chmod -R go= {face.settings.keys}" in ill["modes"]["advice"]
    assert "runs wait" in ill["workers"]["found"]
    key.chmod(0o600)
    with engine.begin() as database:
        database.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        assert "knows those up to" in found(headgate, code=1)["metadata"]["found"]
    finally:
        with engine.begin() as database:
            database.execute(sa.text("UPDATE alembic_version SET version_num = :was"), {"was": newest()})
        engine.dispose()


def newest() -> str:
    from headgate.store import database

    return max(path.stem[:4] for path in (Path(database.__file__).parent / "migrations/versions").glob("[0-9]*.py"))


def test_a_folder_without_anything_and_settings_that_cannot_be_read(tmp_path: Path) -> None:
    def doctor(**environment: str) -> Any:
        return CliRunner().invoke(cli, ["doctor", "--data", str(tmp_path / "none")], env=environment)

    nothing = doctor()
    assert (nothing.exit_code, "holds nothing of Headgate's yet" in nothing.output) == (0, True)
    assert not (tmp_path / "none").exists()
    wrong = doctor(HEADGATE_LEASE="soon")
    assert (wrong.exit_code, "HEADGATE_LEASE" in wrong.output) == (1, True)
    lost = doctor(HEADGATE_METADATA_URL="postgresql+psycopg://nobody:hunter2@127.0.0.1:9/none")
    assert lost.exit_code == 1
    assert "HEADGATE_METADATA_URL" in lost.output
    assert "hunter2" not in lost.output


def test_each_setting_is_shown_with_where_it_comes_from_and_no_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("headgate.toml").write_text("poll = 2.0\n")
    monkeypatch.setenv("HEADGATE_SECRETS_KEY", "hunter2hunter2")
    monkeypatch.setenv("HEADGATE_METADATA_URL", "postgresql://me:hunter2@db/meta")
    done = CliRunner().invoke(cli, ["config", "show", "--data", "here", "--changed", "-o", "json"])
    shown = {each["setting"]: (each["value"], each["from"]) for each in json.loads(done.output)}
    assert shown["HEADGATE_POLL"] == (2.0, "headgate.toml")
    assert shown["HEADGATE_DATA"] == ("here", "--data")
    assert shown["HEADGATE_METADATA_URL"][1] == "HEADGATE_METADATA_URL"
    assert "hunter2" not in done.output
    assert "HEADGATE_LEASE" not in shown
    assert "HEADGATE_LEASE" in CliRunner().invoke(cli, ["config", "show"]).output


def test_shells_complete_commands_and_names(face: Face) -> None:
    headgate = Commands(face)
    assert "_HEADGATE_COMPLETE=zsh_complete" in CliRunner().invoke(cli, ["completion", "zsh"]).output
    face.flow(name="nightly orders")

    def completed(words: str, last: str) -> str:
        given = {"_HEADGATE_COMPLETE": "zsh_complete", "COMP_WORDS": words, "COMP_CWORD": last}
        return (
            CliRunner()
            .invoke(cli, env={**given, "HEADGATE_DATA": str(face.settings.data)}, prog_name="headgate")
            .output
        )

    assert "backfill" in completed("headgate backf", "1")
    assert "nightly orders" in completed("headgate runs start night", "3")
    assert "nightly" not in completed("headgate runs start daily", "3")
    assert headgate("flows", "show", "nightly orders")


def test_registered_connectors_that_cannot_be_run_are_told(tmp_path: Path) -> None:
    place = tmp_path / "connectors.yaml"

    def doctor(text: str) -> dict[str, Any]:
        place.write_text(text)
        place.chmod(0o644)
        arguments = ["doctor", "--data", str(tmp_path / "none"), "-o", "json"]
        done = CliRunner().invoke(cli, arguments, env={"HEADGATE_CONNECTORS": str(place)})
        return next(each for each in json.loads(done.stdout) if each["check"] == "connectors")

    assert doctor("a: {protocol: singer, command: [/bin/sh]}")["found"] == "registered: a"
    absent = doctor("a: {protocol: singer, command: [/nowhere/tap]}")
    assert (absent["state"], "/nowhere/tap" in absent["found"]) == ("problem", True)
    assert "absolute path" in doctor("a: {protocol: singer, command: [tap]}")["found"]
