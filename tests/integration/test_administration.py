"""The command line for organisations, sandboxes, clients and roles, beside a service that runs."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx
import pytest

from headgate.cli.commands import main
from headgate.service.local import credentials
from tests.integration.face import BASE, Face

Run = Callable[..., str]


@pytest.fixture
def run(face: Face, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """`headgate` with these arguments on the folder of the service: what it prints."""
    monkeypatch.setenv("HEADGATE_DATA", str(face.settings.data))
    monkeypatch.setenv("HEADGATE_METADATA_URL", face.settings.metadata_url)

    def headgate(*arguments: str, fails: int = 0) -> str:
        try:
            main([*arguments])
            code = 0
        except SystemExit as error:
            code = int(error.code or 0)
        printed = capsys.readouterr()
        assert code == fails, printed
        return printed.err if fails else printed.out

    return headgate


def shown(text: str) -> Any:
    return json.loads(text)


def with_token(face: Face, answer: httpx.Response, org_id: str, client_id: str) -> Face:
    """The service in the hands of whoever got this answer of the token endpoint."""
    assert answer.status_code == 200, answer.text
    token = answer.json()["access_token"]
    known = replace(face.credentials, org_id=org_id, api_key=client_id, client_id=client_id, access_token=token)
    return Face(face.http, known, face.settings, face.store)


def signed_in(face: Face, made: dict[str, str], org_id: str) -> httpx.Response:
    fields = {"grant_type": "client_credentials", "client_id": made["clientId"], "client_secret": made["clientSecret"]}
    return face.http.post("/ims/token/v3", data=fields)


def test_an_organisation_from_nothing_to_its_first_call(face: Face, run: Run) -> None:
    made = shown(run("orgs", "add", "Fourth", "--admin", "root@example.com", "--output", "json"))
    org_id = made["orgId"]
    assert {"orgId": org_id, "name": "Fourth"} in shown(run("orgs", "list", "--output", "json"))
    client = with_token(face, signed_in(face, made, org_id), org_id, made["clientId"])
    assert client.get("/flows").json()["items"] == []
    assert client.post("/data/foundation/catalog/dataSets", {"name": "Ours"}).status_code == 201
    assert face.get("/data/foundation/catalog/dataSets", name="Ours").json() == {}
    names = [sandbox["name"] for sandbox in shown(run("sandboxes", "list", "--org", org_id, "--output", "json"))]
    assert names == ["prod", "dev"]
    grants = shown(run("roles", "grants", "--org", org_id, "--output", "json"))
    everywhere = {"role": "admin", "sandbox": None}
    assert {"principal": "root@example.com", "kind": "user", **everywhere} in grants
    assert {"principal": made["clientId"], "kind": "service", **everywhere} in grants


def test_no_organisation_is_named_so_that_it_could_refer_to_the_secrets_of_another(face: Face, run: Run) -> None:
    run("orgs", "add", "Acme", "--id", "acme_eu")
    for id_ in ("acme", "acme.eu", "acme_eu_west", "acme-eu"):
        assert "cannot be told from" in run("orgs", "add", "Acme", "--id", id_, fails=4)
    run("orgs", "add", "Acme", "--id", "acmeeu")
    run("orgs", "add", "Acme", "--id", "eu_acme")


def test_a_person_queries_the_lake_of_their_organisation(face: Face, run: Run) -> None:
    made = shown(run("orgs", "add", "Fifth", "--admin", "root@example.com", "--output", "json"))
    org_id = made["orgId"]
    client = with_token(face, signed_in(face, made, org_id), org_id, made["clientId"])
    client.post("/data/foundation/catalog/dataSets", {"name": "Only theirs"})
    assert "only_theirs" not in run("query", "SHOW TABLES")
    run("login", "--user", "root@example.com", "--org", org_id)
    assert "only_theirs" in run("query", "SHOW TABLES")
    run("logout")


def test_a_secret_is_shown_once(run: Run) -> None:
    made = shown(run("clients", "add", "loader", "--role", "viewer", "--output", "json"))
    everything = "".join(run(*command.split()) for command in ("clients list", "orgs list", "roles grants"))
    assert made["clientId"] in everything
    assert made["clientSecret"] not in everything


def test_a_client_with_a_role_in_one_sandbox(face: Face, run: Run) -> None:
    org_id = face.credentials.org_id
    made = shown(run("clients", "add", "x", "--role", "operator", "--sandbox", "dev", "--output", "json"))
    service = with_token(face, signed_in(face, made, org_id), org_id, made["clientId"])
    assert service.of("dev").get("/flows").status_code == 200
    assert service.of("prod").get("/flows").status_code == 403
    run("roles", "grant", "viewer", "--client", made["clientId"])
    assert service.of("prod").get("/flows").status_code == 200
    run("roles", "revoke", "viewer", "--client", made["clientId"])
    assert service.of("prod").get("/flows").status_code == 403
    turned = shown(run("clients", "rotate", made["clientId"], "--overlap", "0", "--output", "json"))
    assert signed_in(face, made, org_id).status_code == 401
    assert signed_in(face, turned, org_id).status_code == 200
    run("clients", "remove", made["clientId"])
    assert signed_in(face, turned, org_id).status_code == 401
    assert service.of("dev").get("/flows").json()["error_code"] == "403003"


def test_a_client_of_another_issuer_has_no_secret(run: Run) -> None:
    made = shown(
        run("clients", "add", "web", "--id", "web-app", "--issuer", "https://login.example.com", "--output", "json")
    )
    assert made == {"clientId": "web-app", "name": "web"}
    assert "another issuer's" in run("clients", "rotate", "web-app", fails=2)


def test_a_role_of_ones_own(run: Run) -> None:
    run("roles", "add", "looker", "--permission", "view-datasets", "--permission", "view-schemas")
    found = {role["role"]: role["permissions"] for role in shown(run("roles", "list", "--output", "json"))}
    assert found["looker"] == ["view-datasets", "view-schemas"]
    assert found["operator"] == sorted([*found["viewer"], "run-on-demand"])
    assert "Permissions: view-sources" in run("roles", "add", "x", "--permission", "fly", fails=2)


def test_a_sandbox_is_made_and_reset(face: Face, run: Run) -> None:
    run("sandboxes", "add", "trial", "--title", "A trial")
    trial = face.of("trial")
    trial.connection()
    run("sandboxes", "reset", "trial", "--yes")
    assert trial.get("/connections").json()["items"] == []
    assert "cannot be reset" in run("sandboxes", "reset", "prod", "--yes", fails=2)
    run("sandboxes", "delete", "trial", "--yes")
    assert trial.get("/connections").status_code == 404
    assert "cannot be deleted" in run("sandboxes", "delete", "prod", "--yes", fails=2)


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        ("clients list --org NOBODY", 3, "No organisation 'NOBODY'"),
        ("clients rotate hg_nobody", 3, "No client 'hg_nobody'"),
        ("clients remove hg_nobody", 3, "No client 'hg_nobody'"),
        ("clients add x --role king", 3, "No role 'king'"),
        ("clients add x --role viewer --sandbox moon", 3, "No sandbox 'moon'"),
        ("clients add x --sandbox dev", 2, "--role"),
        ("roles grant viewer", 2, "--user"),
        ("roles grant viewer --user a --client b", 2, "--user"),
        ("roles grant king --user a", 3, "No role 'king'"),
        ("roles grant viewer --user a --sandbox moon", 3, "No sandbox 'moon'"),
        ("roles grant viewer --client hg_nobody", 3, "No client 'hg_nobody'"),
        ("roles revoke viewer --user nobody@example.com", 3, "does not have"),
        ("roles add admin --permission view-sources", 4, "already"),
        ("sandboxes add dev", 4, "already"),
        ("sandboxes add Upper", 2, "small letters"),
        ("sandboxes reset moon --yes", 3, "No sandbox 'moon'"),
        ("login --user nobody@example.com", 3, "no role"),
        ("login --client hg_nobody", 3, "no such client"),
        ("login --sandbox moon", 3, "No sandbox 'moon'"),
    ],
)
def test_what_cannot_be_done_is_said(run: Run, arguments: str, code: int, sentence: str) -> None:
    assert sentence in run(*arguments.split(), fails=code)


def test_the_same_id_twice(face: Face, run: Run) -> None:
    assert "already" in run("orgs", "add", "Again", "--id", face.credentials.org_id, fails=4)
    assert "already" in run("clients", "add", "again", "--id", face.credentials.client_id, fails=4)
    assert "blanks" in run("orgs", "add", "Blank", "--id", " x ", fails=2)


# -- people --------------------------------------------------------------------------------------------


def test_a_person_logs_in_and_out(face: Face, run: Run) -> None:
    run("roles", "grant", "operator", "--user", "dora@example.com", "--sandbox", "dev")
    assert "dora@example.com is logged in" in run("login", "--user", "dora@example.com")
    note = face.settings.keys / "login.json"
    assert note.stat().st_mode & 0o777 == 0o600
    known = credentials(face.settings.data)
    assert (known["userId"], known["sandbox"]) == ("dora@example.com", "dev")
    assert "clientSecret" not in known
    headers = {"Authorization": f"Bearer {known['accessToken']}"}
    assert face.http.get("/ims/userinfo/v2", headers=headers).json()["sub"] == "dora@example.com"
    asked = {"x-api-key": known["apiKey"], "x-gw-ims-org-id": known["orgId"], "x-sandbox-name": known["sandbox"]}
    assert face.http.get(f"{BASE}/flows", headers={**headers, **asked}).status_code == 200
    assert "dora@example.com" in run("credentials")
    run("logout")
    assert not note.exists()
    assert credentials(face.settings.data)["clientSecret"] == face.credentials.client_secret
    run("logout")


def test_a_login_ends(face: Face, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_TOKEN_LIFETIME", "1")
    run("login")
    note = face.settings.keys / "login.json"
    note.write_text(json.dumps({**json.loads(note.read_text()), "expiresAt": 0}))
    assert "has ended" in run("credentials", fails=5)
    run("logout")
    run("credentials")


def test_a_code_is_exchanged_for_a_persons_token(face: Face, run: Run) -> None:
    code = run("login", "--user", "eve@example.com", "--code").strip()
    known = face.credentials
    fields = {"grant_type": "authorization_code", "code": code}
    fields |= {"client_id": known.client_id, "client_secret": known.client_secret}
    answer = face.http.post("/ims/token/v1", data=fields)
    eve = with_token(face, answer, known.org_id, known.client_id)
    assert eve.get("/flows").status_code == 403
    run("roles", "grant", "viewer", "--user", "eve@example.com")
    assert eve.get("/flows").status_code == 200


def test_a_code_of_a_client_is_its_own_and_stays_good(face: Face, run: Run) -> None:
    known = face.credentials
    code = run("clients", "code", known.client_id, "--days", "2").strip()
    fields = {"grant_type": "authorization_code", "code": code}
    fields |= {"client_id": known.client_id, "client_secret": known.client_secret}
    for _ in range(2):
        service = with_token(face, face.http.post("/ims/token/v1", data=fields), known.org_id, known.client_id)
        prod = service.get("/data/foundation/sandbox-management/sandboxes/prod").json()["id"]
        assert service.send("GET", "/flows", x_sandbox_id=prod).status_code == 200  # as services may
    run("clients", "add", "spa", "--id", "spa", "--issuer", "https://login.example.com")
    assert "another issuer's" in run("clients", "code", "spa", fails=2)
