"""A setting that cannot be read stops every command with a sentence that names it, and holds no secret."""

from pathlib import Path

import pytest

from headgate.errors import BadSetting, Unavailable
from headgate.service.local import settings_for
from headgate.store import open_store

_ISSUER = '"https://login.example"'


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (
            "METADATA_URL",
            "s3cret",
            "HEADGATE_METADATA_URL: an address begins with postgresql+psycopg:// or sqlite://.",
        ),
        ("METADATA_URL", "mysql://me:s3cret@db/x", "HEADGATE_METADATA_URL: an address begins with"),
        ("METADATA_URL", "postgresql+asyncpg://me:s3cret@db/x", "HEADGATE_METADATA_URL: an address begins with"),
        ("ISSUERS", "s3cret", "HEADGATE_ISSUERS: it is no JSON: Expecting value"),
        ("ISSUERS", '[{"url": "x", "audience": "a"}]', "HEADGATE_ISSUERS.0.url: 'x' must begin with https://"),
        ("ISSUERS", f'[{{"url": {_ISSUER}}}]', "HEADGATE_ISSUERS.0.audience: Field required."),
        ("ISSUERS", f'[{{"url": {_ISSUER}, "audience": "a", "aud": 1}}]', "HEADGATE_ISSUERS.0.aud: there is no such"),
        ("LEASE", "s3cret", "HEADGATE_LEASE: Input should be a valid number"),
    ],
)
def test_of_the_environment(name: str, value: str, said: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"HEADGATE_{name}", value)
    with pytest.raises(BadSetting) as failure:
        settings_for(None)
    assert said in failure.value.detail
    assert "s3cret" not in failure.value.detail
    assert not failure.value.detail.endswith("..")


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("allowed_hots = 'db'", "HEADGATE_ALLOWED_HOTS: there is no such setting."),
        ("lease = x", "headgate.toml cannot be read: Invalid value (at line 1, column 9)."),
    ],
)
def test_of_the_file(line: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("headgate.toml").write_text(line)
    with pytest.raises(BadSetting) as failure:
        settings_for(None)
    assert failure.value.detail == said


def test_no_issuers_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_ISSUERS", "")
    assert settings_for(None).issuers == ()


def test_an_option_that_the_database_does_not_know(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_METADATA_URL", "postgresql+psycopg://127.0.0.1/x?nope=1")
    with pytest.raises(Unavailable, match='cannot be opened: invalid connection option "nope"'):
        open_store(settings_for(tmp_path))
