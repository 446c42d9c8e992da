"""The console's wizard: from a source to a flow, step by step, without scripts."""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest

from headgate.model.orgs import Grant
from headgate.model.permissions import Permission
from tests.emulators import absent
from tests.integration.face import LOCAL_FILES, SQLITE
from tests.integration.visitor import Visitor, visiting
from tests.vendors import any_api, mailchimp
from tests.vendors.fake import Fake, served

Form = dict[str, Any]


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("wizard")) as visitor:
        exports = visitor.face.folder / "exports"
        exports.mkdir()
        for day in (1, 2):
            (exports / f"{day}.csv").write_text(f"id;day;total\n{day};2024-03-0{day};3.5\n")
        yield visitor


@pytest.fixture(scope="module")
def shop(visitor: Visitor) -> str:
    return visitor.face.connection("Shop database")


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    with served([mailchimp.VENDOR, *any_api.VENDORS]) as fakes:
        yield {fake.vendor.spec: fake for fake in fakes.values()}


def fields(html: str) -> Form:
    """What the page's last form but the bar's would send, as a browser reads it."""
    form = re.findall(r'<form method="post" action="/wizard.*?</form>', html, re.DOTALL)[-1]
    found: Form = {}
    for tag in re.findall(r"<input [^>]*>", form):
        about = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if about.get("type") in ("radio", "checkbox") and " checked" not in tag:
            continue
        if (name := about["name"]) in ("column", "keep", "drop"):
            found.setdefault(name, []).append(about["value"])
        elif name not in ("csrf", "in_sandbox"):
            found[name] = about.get("value", "")
    for name, options in re.findall(r'<select id="[^"]*" name="([^"]*)".*?>(.*?)</select>', form, re.DOTALL):
        chosen = re.search(r'<option value="([^"]*)" selected', options)
        found[name] = unescape(chosen[1]) if chosen else ""
    return found


def on(visitor: Visitor, address: str, step: str, **changes: Any) -> str:
    """Fill in the form at an address, press a button, and give the address of the next page."""
    sent = visitor.post("/wizard", {**fields(visitor.page(address)), **changes, "step": step})
    assert sent.status_code == 303, sent.text
    return sent.headers["location"]


def asked(address: str) -> dict[str, str]:
    return dict(parse_qsl(urlsplit(address).query))


def test_a_table_becomes_a_flow_and_its_first_run(visitor: Visitor, shop: str) -> None:
    assert "Shop database" in visitor.page(f"/wizard?spec={SQLITE}&step=connection")
    data = on(visitor, "/wizard", "data", connection=shop)
    assert "Nothing is chosen yet" in visitor.page(data)
    target = on(visitor, f"{data}&object=orders", "target")
    mapping = on(visitor, target, "mapping", dataset_name="Orders", mode="upsert", key="id")
    schedule = on(visitor, mapping, "schedule")
    review = on(visitor, schedule, "review", delta="updated_at")
    html = visitor.page(review)
    assert "5, all as they are" in html
    assert "upsert</code> by id" in html
    assert visitor.face.credentials.access_token not in html
    made = visitor.post("/wizard/finish", {**fields(html), "then": "run"})
    assert made.status_code == 303, made.text
    assert made.headers["location"].startswith("/runs/new?flow=")
    assert asked(made.headers["location"])["delta"] == "updated_at"
    flow_id = asked(made.headers["location"])["flow"]
    assert visitor.face.run(flow_id, deltaColumn={"name": "updated_at"}).status_code == 201
    [target_id] = visitor.face.get(f"/flows/{flow_id}").json()["items"][0]["targetConnectionIds"]
    params = visitor.face.get(f"/targetConnections/{target_id}").json()["items"][0]["params"]
    assert (params["writeMode"], params["primaryKey"]) == ("upsert", ["id"])


def test_columns_are_left_out_and_renamed(visitor: Visitor, shop: str) -> None:
    mapping = f"/wizard?step=mapping&connection={shop}&object=orders&name=Few&dataset_name=Few"
    form = fields(visitor.page(mapping))
    assert form["keep"] == ["id", "updated_at", "created", "payload", "total"]
    address = on(visitor, mapping, "mapping", keep=["id", "updated_at"], **{"as.id": "order.id"})
    assert asked(address) | {"drop": "total", "as.id": "order.id"} == asked(address)
    html = visitor.page(address)
    assert '<th scope="col">order.id</th><th scope="col">updated_at</th>' in html
    review = visitor.page(on(visitor, on(visitor, address, "schedule"), "review"))
    assert "2, chosen" in review
    made = visitor.post("/wizard/finish", {**fields(review), "then": "flow"})
    flow = visitor.face.get(made.headers["location"]).json()["items"][0]
    names = [transformation["name"] for transformation in flow["transformations"]]
    assert names == ["Mapping"]
    assert "Keep at least one column." in visitor.page(on(visitor, mapping, "schedule", keep=[]))


def test_files_of_a_folder_are_read(visitor: Visitor) -> None:
    file = visitor.face.folder / "exports" / "1.csv"
    data = f"/wizard?step=data&spec={LOCAL_FILES}&object={file}"
    assert fields(visitor.page(data))["columnDelimiter"] == ";"
    target = on(visitor, data, "target", reads="folder", recursive="true")
    mapping = on(visitor, target, "mapping", name="Exports", dataset_name="Exports")
    schedule = on(visitor, mapping, "schedule")
    html = visitor.page(
        on(visitor, schedule, "review", frequency="hour", interval="2", start="2030-01-01T06:00", backfill="true")
    )
    assert re.search(r"every 2 hours from <time datetime=\"2030-01-01T06:00", html)
    made = visitor.post("/wizard/finish", {**fields(html), "then": "flow"})
    flow = visitor.face.get(made.headers["location"]).json()["items"][0]
    source = visitor.face.get(f"/sourceConnections/{flow['sourceConnectionIds'][0]}").json()["items"][0]
    assert source["params"] == {"path": str(file.parent), "type": "folder", "recursive": True}
    assert source["data"] == {"format": "delimited", "columnDelimiter": ";"} | source["data"]
    schedule_of = {"startTime": "1893477600", "frequency": "hour", "interval": 2, "backfill": True}
    assert flow["scheduleParams"] == schedule_of


def test_a_step_says_what_is_lacking_and_going_back_loses_nothing(visitor: Visitor, shop: str) -> None:
    assert "Choose what is read" in visitor.page("/wizard?step=review")
    assert "Choose a table first." in visitor.page(f"/wizard?step=target&connection={shop}")
    start = f"/wizard?connection={shop}&object=orders"
    address = on(visitor, f"{start}&step=target", "mapping", name="Kept", mode="upsert", key="nothing", percent="x")
    html = visitor.page(address)
    assert "The column &#39;nothing&#39; is not there" in html
    assert "A number above 0 and up to 100." in html
    assert 'value="Kept"' in html
    back = on(visitor, address, "data", name="Kept, too")
    assert asked(back)["name"] == "Kept, too"
    schedule = f"{start}&step=schedule&name=a&dataset_name=b"
    html = visitor.page(on(visitor, schedule, "review", frequency="minute", interval="1", start="soon"))
    for sentence in ("A whole number, 15 or more.", "Enter a date and a time.", "needs a delta column"):
        assert sentence in html


def test_what_is_refused_in_the_end_leaves_nothing_behind(visitor: Visitor, shop: str) -> None:
    face = visitor.face
    other = "/wizard?step=review&name=Refused&mode=append"
    visitor.page(f"{other}&connection={shop}&object=orders&dataset_name=Refused")
    before = face.get("/sourceConnections").json()["items"]
    form = {"connection": shop, "object": "orders", "name": "Refused", "dataset": "0" * 24}
    refused = visitor.post("/wizard/finish", form)
    assert refused.status_code in (400, 404)
    assert face.get("/sourceConnections").json()["items"] == before


def test_the_recipe_in_python_makes_the_same(visitor: Visitor, shop: str, monkeypatch: pytest.MonkeyPatch) -> None:
    query = f"connection={shop}&object=orders&name=By+program&dataset_name=By+program&drop=payload"
    html = visitor.page(f"/wizard?step=review&{query}")
    recipe = re.search(r'aria-label="Python"><code>(.*?)</code>', html, re.DOTALL)
    assert recipe is not None
    monkeypatch.setenv("TOKEN", visitor.face.credentials.access_token)
    monkeypatch.setenv("API_KEY", visitor.face.credentials.api_key)
    made: Form = {}
    exec(unescape(recipe[1]), made)  # noqa: S102 - it is what people are told to run
    made["client"].close()
    assert visitor.face.get(f"/flows/{made['flow']}").json()["items"][0]["name"] == "By program"


def test_who_may_make_no_dataset_is_refused_before_anything_is_made(visitor: Visitor, shop: str) -> None:
    face = visitor.face
    rights = [Permission.VIEW_SOURCES, Permission.MANAGE_SOURCES]
    face.store.tenants.add_role(face.credentials.org_id, "sources-only", frozenset(rights))
    face.store.tenants.grant(face.credentials.org_id, Grant("some@one", "user", "sources-only", None))
    someone = visitor.other().sign_in("some@one")
    before = face.get("/sourceConnections").json()["items"]
    review = someone.page(f"/wizard?step=review&connection={shop}&object=orders&name=Mine&dataset_name=Mine")
    refused = someone.post("/wizard/finish", {**fields(review), "then": "flow"})
    assert refused.status_code == 403
    assert "manage-datasets" in refused.text
    assert face.get("/sourceConnections").json()["items"] == before


@pytest.mark.parametrize("way", ["curl", "CLI"])
def test_the_recipes_for_a_shell_make_the_same(visitor: Visitor, shop: str, way: str) -> None:
    if way == "curl" and not (shutil.which("curl") and shutil.which("jq")):
        absent("There is no curl or no jq here; apt-get install curl jq.")
    name = f'By {way}: Jan\'s "$HOME" `id` \\ é'
    query = {
        "step": "review",
        "connection": shop,
        "object": "orders",
        "name": name,
        "dataset_name": name,
        "drop": "total",
    }
    html = visitor.page(f"/wizard?{urlencode({**query, 'mode': 'upsert', 'key': 'id'})}")
    recipe = re.search(rf'aria-label="{way}"><code>(.*?)</code>', html, re.DOTALL)
    assert recipe is not None
    token, key = visitor.face.credentials.access_token, visitor.face.credentials.client_id
    settings = {"HEADGATE_URL": visitor.base, "HEADGATE_TOKEN": token, "HEADGATE_API_KEY": key}
    settings |= {"HEADGATE_ORG": visitor.face.credentials.org_id, "HEADGATE_SANDBOX": "prod"}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    known = {**os.environ, **settings, "PATH": path, "TOKEN": token, "API_KEY": key}
    script = unescape(recipe[1]) + '\necho "$FLOW"\n'
    ran = subprocess.run(["bash", "-eu"], input=script, env=known, capture_output=True, text=True, timeout=60)
    flow = visitor.face.get(f"/flows/{ran.stdout.strip()}").json()["items"][0]
    assert flow["name"] == name, ran.stderr
    [target] = visitor.face.get(f"/targetConnections/{flow['targetConnectionIds'][0]}").json()["items"]
    assert target["params"]["primaryKey"] == ["id"]
    dataset = target["params"]["dataSetId"]
    assert visitor.face.get(f"/data/foundation/catalog/dataSets/{dataset}").json()[dataset]["name"] == name
    assert [one["name"] for one in flow["transformations"]] == ["Mapping"]


@pytest.mark.parametrize(
    ("spec", "resource", "shown", "params"),
    [
        (
            "mailchimp",
            f"members?listId={mailchimp.AUDIENCE}",
            "timestamp_signup",
            {"resourcePath": f"members?listId={mailchimp.AUDIENCE}"},
        ),
        ("generic-rest", json.dumps(any_api.VENDORS[0].params), "buyer", any_api.VENDORS[0].params),
    ],
)
def test_a_resource_of_an_api_is_told_what_it_needs(
    visitor: Visitor, fakes: dict[str, Fake], spec: str, resource: str, shown: str, params: dict[str, Any]
) -> None:
    vendor = fakes[spec].vendor
    auth = {"specName": vendor.auth_spec, "params": {**vendor.auth, "serviceUrl": fakes[spec].address}}
    about = {"name": f"Our {spec}", "connectionSpec": {"id": vendor.catalogue.id, "version": "1.0"}, "auth": auth}
    id_ = visitor.face.post("/connections", about).json()["id"]
    data = f"/wizard?{urlencode({'step': 'data', 'connection': id_})}"
    assert "Choose a resource to see its columns" in visitor.page(data)
    assert "The resource begins like JSON and is none" in visitor.page(f"{data}&object=%7Bx")
    if spec == "mailchimp":
        assert "params.listId is missing" in visitor.page(f"{data}&object=members")
    chosen = f"{data}&{urlencode({'object': resource})}"
    assert f'<th scope="col">{shown}<' in visitor.page(chosen)
    explored = visitor.page(f"/connections/{id_}/explore?{urlencode({'object': resource})}")
    assert f'<th scope="col">{shown}<' in explored
    review = on(visitor, on(visitor, on(visitor, on(visitor, chosen, "target"), "mapping"), "schedule"), "review")
    made = visitor.post("/wizard/finish", {**fields(visitor.page(review)), "then": "flow"})
    assert made.status_code == 303, made.text
    flow = visitor.face.get(made.headers["location"]).json()["items"][0]
    [source] = visitor.face.get(f"/sourceConnections/{flow['sourceConnectionIds'][0]}").json()["items"]
    assert source["params"] == params
