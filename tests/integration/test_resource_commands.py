"""What the service holds, by `headgate`: listed, shown, made, changed, removed."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner

from headgate.cli.commands import cli
from tests.integration.commanding import Commands
from tests.integration.face import SQLITE, Face, serving


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("commands")) as face:
        yield face


@pytest.fixture(scope="module")
def headgate(face: Face) -> Commands:
    return Commands(face)


def test_a_flow_is_made_by_names_alone_and_taken_away_again(face: Face, headgate: Commands) -> None:
    path = str(face.folder / "shop.db")
    made = headgate.json("connections", "create", "shop", "--spec", "sqlite", "--param", f"path={path}")
    assert (made["auth"]["params"], made["connectionSpec"]["id"]) == ({"path": path}, SQLITE)
    assert headgate("connections", "test", "shop").split() == ["works", "yes"]
    assert "orders" in headgate("connections", "explore", "shop")
    columns = headgate("connections", "explore", "shop", "orders")
    assert "updated_at" in columns
    assert "could be" in columns
    assert len(headgate.json("connections", "preview", "shop", "orders")) == 50

    headgate("source-connections", "create", "--connection", "shop", "--table", "orders")
    auth = {"specName": "OAuth2 Refresh Code", "params": {"accessToken": "sk_test_1"}}
    stripe = {"id": "cc2c31d6-7b8c-4581-b49f-5c8698aa3ab3"}
    face.made("/connections", {"name": "pay", "connectionSpec": stripe, "auth": auth})
    of_api = headgate.json("source-connections", "create", "--connection", "pay", "--table", "charges")
    assert (of_api["params"], of_api["data"]) == ({"resourcePath": "charges"}, {"format": "json"})
    dataset = headgate("datasets", "create", "Orders", "-o", "id").strip()
    headgate(
        *("target-connections", "create", "into orders", "--dataset", "Orders"),
        *("--write-mode", "upsert", "--primary-key", "id"),
    )
    flow = headgate.json(
        *("flows", "create", "nightly", "--source", "orders", "--target", "into orders"),
        *("--delta-column", "updated_at", "--frequency", "day", "--interval", "1", "--start", "tomorrow"),
    )
    assert flow["transformations"] == [{"name": "Copy", "params": {"deltaColumn": {"name": "updated_at"}}}]
    target = headgate.json("target-connections", "show", "into orders")["params"]
    assert target == {"dataSetId": dataset, "writeMode": "upsert", "primaryKey": ["id"]}
    assert "every 1 day" in headgate("flows", "list", "--name", "nightly")
    assert "disabled" in headgate("flows", "disable", "nightly")
    assert headgate.json("flows", "enable", flow["id"])["state"] == "enabled"

    changed = headgate.json("flows", "update", "nightly", "--name", "daily", "--set", "scheduleParams.interval=2")
    assert (changed["name"], changed["scheduleParams"]["interval"]) == ("daily", 2)
    assert changed["scheduleParams"]["frequency"] == "day"
    assert "no flow 'nightly'" in headgate("flows", "show", "nightly", code=3)
    assert "--yes" in headgate("flows", "delete", "daily", code=2)
    assert "is used by the flow" in headgate("connections", "delete", "shop", "--yes", code=2)
    for kind, name in (("flows", "daily"), ("target-connections", "into orders"), ("datasets", "Orders")):
        headgate(kind, "delete", name, "--yes")
    assert headgate.json("flows", "list") == []


def test_a_secret_is_a_reference_or_typed_in_but_never_an_argument(
    headgate: Commands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CRM_PASSWORD", "hunter2")
    command = ["connections", "create", "crm", "--spec", "postgresql", "--param", "server=127.0.0.1"]
    command += ["--param", "database=crm", "--param", "username=reader"]
    refused = headgate(*command, "--param", "password=hunter2", code=2)
    assert "--password-stdin" in refused
    assert "hunter2" not in refused
    assert headgate.json(*command, "--password-stdin", typed="hunter2\n")["auth"]["params"]["password"] == "xxxx"
    assert "is a secret" in headgate("connections", "update", "crm", "--set", "auth.params.password=x", code=2)
    changed = headgate.json("connections", "update", "crm", "--set", "auth.params.password=env:CRM_PASSWORD")
    assert changed["auth"]["params"] == {
        "server": "127.0.0.1",
        "database": "crm",
        "username": "reader",
        "password": "env:CRM_PASSWORD",
    }
    assert "still lacks none" in headgate(*command, "--param", "password=env:CRM_PASSWORD", "--password-stdin", code=2)


def test_bodies_come_from_files_and_standard_input(headgate: Commands, tmp_path: Path) -> None:
    body = {
        "name": "from a file",
        "connectionSpec": {"id": SQLITE, "version": "1.0"},
        "auth": {"specName": "Database File", "params": {"path": "shop.db"}},
    }
    path = tmp_path / "connection.yaml"
    path.write_text(yaml.safe_dump(body))
    first = headgate("connections", "create", "-f", str(path), "--set", "description=by hand", "-o", "id", "--draft")
    second = headgate("connections", "create", "-f", "-", "-o", "id", "--draft", typed=json.dumps(body))
    assert "Several connections are called" in headgate("connections", "show", "from a file", code=2)
    shown = yaml.safe_load(headgate("connections", "show", first.strip(), "-o", "yaml"))
    assert (shown["description"], shown["state"]) == ("by hand", "draft")
    listed = headgate("connections", "list", "--filter", "state==draft", "-o", "id")
    assert listed.split() == [second.strip(), first.strip()]
    path.write_text("a: [")
    assert "is no YAML: line 1" in headgate("connections", "create", "-f", str(path), code=2)


def test_what_can_be_connected_to(headgate: Commands) -> None:
    databases = headgate.json("specs", "list", "--category", "database")
    assert {"postgresql", "sqlite"} < {spec["name"] for spec in databases}
    assert len(headgate.json("specs", "list", "--all")) > 2 * len(databases)
    assert "password (secret)" in headgate("specs", "show", "postgresql")
    assert "no connection spec 'nothing'" in headgate("specs", "show", "nothing", code=3)
    assert "CRMToAEP" in headgate("flow-specs", "list")


def test_what_stands_beside_the_flow_service(headgate: Commands, tmp_path: Path) -> None:
    sets = tmp_path / "set.json"
    sets.write_text(json.dumps({"name": "as it is", "mappings": [{"source": "id", "destination": "id"}]}))
    made = headgate.json("mapping-sets", "create", "-f", str(sets))
    assert headgate.json("mapping-sets", "show", "as it is")["id"] == made["id"]
    assert "SUCCESS" in headgate("mapping-sets", "validate", "-f", str(sets))
    headgate("mapping-sets", "delete", "as it is", "--yes")
    schema = tmp_path / "schema.yaml"
    schema.write_text("title: Order\ntype: object\nallOf: [{$ref: 'https://ns.adobe.com/xdm/data/record'}]\n")
    headgate("schemas", "create", "-f", str(schema))
    assert "Order" in headgate("schemas", "list")
    headgate("schemas", "delete", "Order", "--yes")
    assert headgate("landing-zone", "show").startswith("zone      prod\n")
    assert headgate.json("batches", "list") == []


def test_what_was_made_is_looked_at(face: Face, headgate: Commands) -> None:
    lost = face.folder / "lost.db"
    made = headgate.whole("connections", "create", "lost", "--spec", "sqlite", "--param", f"path={lost}")
    assert made.exit_code == 0
    assert f"does not work: There is no file '{lost}'. Set it right by" in made.stderr
    headgate("connections", "delete", "lost", "--yes")
    first = headgate("datasets", "create", "Twice", "-o", "id").strip()
    second = headgate.whole("datasets", "create", "Twice", "-o", "id")
    assert f"Note: there is another dataset 'Twice': {first}." in second.stderr
    for id_ in (first, second.stdout.strip()):
        headgate("datasets", "delete", id_, "--yes")


def test_documents_of_the_registry(headgate: Commands, tmp_path: Path) -> None:
    group = tmp_path / "group.yaml"
    group.write_text(
        "{title: Address, type: object, meta:intendedToExtend: ['https://ns.adobe.com/xdm/data/record']}\n"
    )
    made = headgate.json("field-groups", "create", "-f", str(group))
    changed = headgate.json("field-groups", "update", "Address", "--set", "description=Where somebody lives")
    assert (changed["$id"], changed["description"]) == (made["$id"], "Where somebody lives")
    assert headgate.json("field-groups", "update", "Address", "--name", "Place")["title"] == "Place"
    assert "description" not in headgate.json("field-groups", "replace", "Place", "-f", str(group))
    assert headgate.json("schemas", "stats")["counts"]["mixins"] == 1
    headgate("field-groups", "delete", "Address", "--yes")
    assert "Record" in headgate("classes", "list", "--standard")
    assert (
        headgate.json("classes", "list") == headgate.json("data-types", "list") == headgate.json("descriptors", "list")
    )
    assert headgate.json("behaviors", "show", "https://ns.adobe.com/xdm/data/adhoc")["title"] == "Ad hoc"


def test_mappings_one_by_one_and_what_they_make(headgate: Commands, tmp_path: Path) -> None:
    sets, records = tmp_path / "set.json", tmp_path / "records.json"
    sets.write_text(json.dumps({"name": "prices", "mappings": [{"source": "id", "destination": "number"}]}))
    records.write_text(json.dumps([{"id": 7, "total": 2}]))
    headgate("mapping-sets", "create", "-f", str(sets))
    added = headgate.json("mappings", "add", "prices", "total", "amount")
    assert headgate.json("mapping-sets", "preview", "prices", "-r", str(records))["data"] == [
        {"number": 7, "amount": 2}
    ]
    headgate("mappings", "replace", "prices", added["id"], "price", "amount")
    refused = headgate.whole("mapping-sets", "preview", "prices", "-r", str(records))
    assert (refused.exit_code, "price -> amount: the source has no 'price'" in refused.stderr) == (1, True)
    [kept, gone] = headgate.json("mappings", "list", "prices")
    headgate("mappings", "delete", "prices", gone["id"], "--yes")
    assert headgate.json("mappings", "list", "prices") == [headgate.json("mappings", "show", "prices", kept["id"])]
    headgate("mapping-sets", "delete", "prices", "--yes")
    assert "none yet" in headgate("mapping-sets", "language")
    assert headgate.whole("mapping-sets", "language", "a + b").exit_code == 1


def test_who_calls_and_what_they_may(headgate: Commands, tmp_path: Path) -> None:
    me = headgate.json("whoami")
    assert (me["sub"], me["sandbox"]) == ("local@headgate", "prod")
    assert "manage-access" in me["permissions"]
    assert headgate.whole("permissions", "check", "manage-specs", "fly").exit_code == 1
    assert "sources" in headgate("permissions", "list")
    assert headgate("sandboxes", "rename", "dev", "Try out") == "The sandbox dev is called Try out.\n"
    headgate("roles", "add", "auditor", "--permission", "view-user-activity-log")
    assert headgate("roles", "remove", "auditor") == "The role auditor is gone.\n"
    assert "built in" in headgate("roles", "remove", "admin", code=2)


def test_any_address_can_be_called(headgate: Commands) -> None:
    queue = json.loads(headgate("api", "get", "/headgate/queue"))
    assert queue["waiting"] == 0
    assert json.loads(headgate("api", "GET", "/data/foundation/flowservice/flows?limit=1", "--param", "orderby=name"))
    told = headgate.whole("api", "GET", "/headgate/queue", "-v").stderr
    assert re.search(r"^GET http://\S+/headgate/queue 200 in \d+ ms, request id \w+$", told, re.MULTILINE)
    assert "no webhook 'bel' in this sandbox" in headgate("webhooks", "remove", "bel", code=3)
    assert "begins with one slash" in headgate("api", "GET", "//elsewhere.example/", code=2)
    assert headgate("api", "GET", "/headgate/nothing", code=3)


def test_a_service_elsewhere_is_named_by_the_environment_or_a_profile(
    face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def headgate(*arguments: str, given: dict[str, str], code: int = 0) -> str:
        done = CliRunner().invoke(cli, arguments, env={"HEADGATE_DATA": str(tmp_path), **given})
        assert done.exit_code == code, done.output
        return done.output

    known = face.credentials
    place = {"HEADGATE_URL": str(face.http.base_url), "HEADGATE_ORG": known.org_id}
    assert "without api_key" in headgate("flows", "list", code=2, given=place)
    token = {"HEADGATE_TOKEN": known.access_token, "HEADGATE_API_KEY": known.api_key}
    assert headgate("flows", "list", "-o", "json", given={**place, **token}) == "[]\n"
    assert "without token" in headgate("flows", "list", code=2, given={**place, "HEADGATE_CLIENT_ID": known.client_id})
    secret = {"HEADGATE_CLIENT_ID": known.client_id, "HEADGATE_CLIENT_SECRET": known.client_secret}
    assert headgate("flows", "list", "-o", "json", given={**place, **secret}) == "[]\n"
    assert "gives no token" in headgate(
        "flows", "list", code=5, given={**place, **secret, "HEADGATE_CLIENT_SECRET": "no"}
    )
    assert headgate("flows", "list", code=3, given={**place, **token, "HEADGATE_SANDBOX": "nowhere"})

    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    profiles = tmp_path / "headgate" / "profiles.toml"
    profiles.parent.mkdir()
    section = {"url": place["HEADGATE_URL"], "org": known.org_id, "token": known.access_token, "api_key": known.api_key}
    profiles.write_text("[far]\n" + "".join(f"{name} = {json.dumps(value)}\n" for name, value in section.items()))
    profiles.chmod(0o644)
    assert "chmod 600" in headgate("flows", "list", "--profile", "far", code=2, given={})
    profiles.chmod(0o600)
    assert headgate("flows", "list", "-o", "json", given={"HEADGATE_PROFILE": "far"}) == "[]\n"
    assert "no profile 'near'" in headgate("flows", "list", "--profile", "near", code=2, given={})
    nobody = {**place, **token, "HEADGATE_URL": "http://127.0.0.1:9"}
    assert "does not answer" in headgate("flows", "list", code=6, given=nobody)
