"""Administering, asking and watching a service that is not on this machine."""

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from headgate.cli.commands import cli
from tests.integration.face import serving


def test_what_is_done_elsewhere_over_http(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(tmp_path) as face:
        known = face.credentials
        for name, value in (
            ("URL", str(face.http.base_url)),
            ("TOKEN", known.access_token),
            ("API_KEY", known.api_key),
            ("ORG", known.org_id),
            ("DATA", str(tmp_path / "not here")),
        ):
            monkeypatch.setenv(f"HEADGATE_{name}", value)

        def headgate(*arguments: str, code: int = 0) -> str:
            done = CliRunner().invoke(cli, arguments)
            assert done.exit_code == code, (done.output, done.exception)
            return done.stdout if code == 0 else done.stderr

        def read(*arguments: str) -> Any:
            return json.loads(headgate(*arguments, "-o", "json"))

        headgate("sandboxes", "add", "trial")
        assert {"name": "trial", "title": "trial", "type": "development", "state": "active"} in read(
            "sandboxes", "list"
        )
        headgate("sandboxes", "rename", "trial", "Try out")
        assert "Try out" in {one["title"] for one in read("sandboxes", "list")}
        headgate("sandboxes", "reset", "trial", "--yes")
        headgate("sandboxes", "delete", "trial", "--yes")
        made = read("clients", "add", "etl", "--role", "admin")
        assert read("clients", "rotate", made["clientId"])["clientSecret"] != made["clientSecret"]
        headgate("roles", "add", "reader", "--permission", "view-sources")
        assert {"role": "reader", "permissions": ["view-sources"]} in read("roles", "list")
        headgate("roles", "grant", "reader", "--user", "bob@example.com", "--sandbox", "dev")
        assert "reader in dev" in headgate("people")
        assert headgate("login", "--code", "--user", "bob@example.com", "--client", made["clientId"]).startswith("hgc_")
        headgate("roles", "revoke", "reader", "--user", "bob@example.com", "--sandbox", "dev")
        assert "has no role" in headgate("roles", "revoke", "reader", "--user", "bob@example.com", code=2)
        headgate("roles", "remove", "reader")
        assert "No role 'reader'" in headgate("roles", "remove", "reader", code=3)
        headgate("clients", "remove", made["clientId"])
        assert made["clientId"] not in {one["clientId"] for one in read("clients", "list")}
        assert "on the machine of the service" in headgate("orgs", "add", "Other", code=2)
        assert "another organisation" in headgate("audit", "--org", "other", code=2)

        newest = [json.loads(line) for line in headgate("audit", "--limit", "3", "-o", "json").splitlines()]
        assert [entry["at"] for entry in newest] == sorted(entry["at"] for entry in newest)
        assert made["clientId"] in {entry["resource"] for entry in newest}
        assert known.org_id in {one["orgId"] for one in read("orgs", "list")}
        assert read("query", "SELECT 1 AS one") == [{"one": 1}]
        assert read("workers") == []
        face.run(face.flow(name="waits"), deltaColumn={"name": "updated_at"})
        assert "waits" in headgate("queue")
        assert read("queue")["waiting"] == 1
        assert not (tmp_path / "not here").exists()
