"""Both Python clients against a listening service: what one answers, the other is awaited for."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from queue import SimpleQueue
from typing import Any, get_type_hints

import httpx
import pytest

import headgate
from headgate.client import Run, RunEvent, asking, shapes
from headgate.engine import Worker
from headgate.errors import BadSetting
from headgate.service.local import remember_address
from tests.both_clients import client_of
from tests.conformance.kits import unused_port
from tests.faults.proxy import proxied
from tests.integration.face import NOBODY, Face, Json, serving
from tests.integration.lake_story import working
from tests.receiving import receiving

PROFILE = "https://ns.adobe.com/xdm/context/profile"
MARCH = (date(2024, 3, 1), date(2024, 4, 1))


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    folder = tmp_path_factory.mktemp("service")
    with serving(folder, poll=0.05) as face:
        yield face


@pytest.fixture(scope="module")
def worker(face: Face) -> Iterator[Worker]:
    with working(face) as worker:
        yield worker


@pytest.fixture(params=["sync", "async"])
def client(request: pytest.FixtureRequest, face: Face) -> Iterator[Any]:
    with client_of(request.param, credentials(face)) as client:
        yield client


def credentials(face: Face) -> Json:
    return dict(face.credentials.wire(str(face.http.base_url)))


def orders(client: Any, face: Face, **more: Any) -> str:
    """The id of a flow of the shop's orders."""
    shop = client.connections.create_for("sqlite", {"path": str(face.folder / "shop.db")}, name="shop")
    made = client.flows.create_for(shop, name="orders", table="orders", dataset="orders", **more)
    return str(made["id"])


def holds(shape: Any, answer: Json) -> None:
    """See that an answer has the members that its shape requires, and of the types it says."""
    hints = get_type_hints(shape)
    assert shape.__required_keys__ <= set(answer), shape.__required_keys__ - set(answer)
    for name in shape.__required_keys__:
        if hints[name] in (int, str, bool):
            assert type(answer[name]) is hints[name], (name, answer[name])


def test_from_a_connection_to_rows(client: Any, face: Face, worker: Worker) -> None:
    shop = client.connections.create_for("sqlite", {"path": str(face.folder / "shop.db")}, name="shop")
    holds(shapes.Made, shop)
    assert client.connections.test(shop)["result"] is True
    [table] = client.connections.explore(shop)
    holds(shapes.Entry, table)
    seen = client.connections.preview(shop, table=table["path"])
    holds(shapes.Preview, seen)
    assert len(seen["data"]) == 50
    assert "data" not in client.connections.preview(shop, table=table["path"], rows=False)

    name = f"orders {id(client)}"
    made = client.flows.create_for(shop, name=name, table="orders", dataset=name, target={"writeMode": "append"})
    looks: list[str] = []
    run = client.runs.start(name, window=MARCH, delta_column="updated_at")
    holds(shapes.RunObject, run.data)
    assert (run.flow_id, run.ended) == (made["id"], False)
    assert run.window == (datetime(2024, 3, 1, tzinfo=UTC), datetime(2024, 4, 1, tzinfo=UTC))
    assert run.wait(timeout=60, on_progress=lambda run: looks.append(run.state)).rows == 50
    [brought] = client.flows.windows(made, start=MARCH[0], end=MARCH[1])
    holds(shapes.Covered, brought)
    assert brought["state"] == "ingested"
    assert client.flows.windows(made)[0]["state"] == "ingested"
    estimate = client.runs.estimate(name, window=MARCH)
    holds(shapes.RunEstimate, estimate)
    assert (estimate["rows"], estimate["earlierRuns"][0]["id"]) == (50, run.id)
    assert client.runs.estimate(name)["window"]["windowStartTime"] == 1711929600  # where the last success ended
    assert (run.state, run.ended, list(run.errors), looks[-1]) == ("success", True, [], "success")
    assert client.runs.get(run.id).data == run.data

    [listed] = client.runs.list("state==success", flow=name)
    assert listed.id == run.id
    assert client.runs.count(f"flowId=={made['id']}") == 1
    batch = client.batches.get(run.id)
    holds(shapes.Batch, batch)
    assert batch["recordCount"] == 50
    dataset = client.datasets.find(name)
    holds(shapes.Dataset, dataset)
    assert [found["id"] for found in client.batches.list(dataSet=dataset["id"])] == [run.id]
    assert len(client.datasets.preview(dataset)) == 50
    rows = client.datasets.rows(dataset, limit=3)
    holds(shapes.Rows, rows)
    schema = client.datasets.schema(dataset)
    holds(shapes.TableSchema, schema)
    assert (len(rows["rows"]), rows["truncated"]) == (3, True)
    assert {found["name"] for found in rows["columns"]} <= {found["name"] for found in schema["columns"]}
    assert client.query(f'SELECT count(*) FROM "{schema["table"]}"')["rows"] == [[50]]
    [snapshot] = client.datasets.snapshots(dataset)
    holds(shapes.Snapshot, snapshot)
    assert (snapshot["runId"], snapshot["current"]) == (run.id, True)
    [working] = [found for found in client.workers.list() if found["state"] != "silent"]
    holds(shapes.Worker, working)
    holds(shapes.Activity, client.activity())
    with pytest.raises(headgate.Invalid) as refused:
        run.retrigger()
    assert (refused.value.status, refused.value.code) == (400, "CONNECTOR-1387-400")
    client.batches.revert(run.id)
    assert client.datasets.preview(dataset) == []


def test_a_run_that_fails_says_why_and_is_run_again(client: Any, face: Face, worker: Worker) -> None:
    (face.folder / "bad.json").write_text('{"id": 1}\n{"id": \n')
    files = client.connections.create_for("local-files", {"folder": str(face.folder)}, name="files")
    assert {"bad.json", "shop.db"} <= {found["name"] for found in client.connections.explore(files)}
    made = client.flows.create_for(files, name="bad", path="bad.json", format="json", dataset=f"bad {id(client)}")
    with pytest.raises(headgate.RunFailed, match="ended as failed") as failed:
        client.runs.start(made, window=(0, "now")).wait(timeout=60)
    assert failed.value.run["flowId"] == made["id"]
    assert failed.value.errors[0]["code"] == failed.value.code
    again = client.runs.get(failed.value.run["id"]).retrigger()
    assert again.data["parentFlowRunId"] == failed.value.run["id"]
    with pytest.raises(headgate.RunFailed):
        again.wait(timeout=60)


def test_a_run_is_watched_as_it_goes_on(client: Any, face: Face, worker: Worker) -> None:
    run = client.runs.start(orders(client, face), window=MARCH, delta_column="updated_at")
    events, states = [], []
    for event in run.events():
        events.append(event)
        states.append(run.state)
    assert states[-1] == "success"
    assert "run" in [event.name for event in events]
    assert events[-1][1:] == ("done", {"id": run.id, "state": "success"})
    assert {**run.data, "version": 0} == {**client.runs.get(run.id).data, "version": 0}
    lines = [event.data for event in events if event.name == "log"]
    details = run.details()
    holds(shapes.RunDetails, details)
    assert details["log"] == lines != []
    for seen in range(len(events)):  # whoever comes back is told the rest of the log, and no line again
        later = [event.data for event in run.events(after=events[seen].id) if event.name == "log"]
        assert later == [event.data for event in events[seen + 1 :] if event.name == "log"]
    with pytest.raises(headgate.Invalid, match="no id of an event"):
        list(run.events(after="mine"))
    watched = run.events()
    next(watched)
    watched.close()


def test_a_run_that_waits_is_cancelled(client: Any, face: Face) -> None:
    tomorrow = datetime.now(UTC) + timedelta(days=1)
    run = client.runs.start(orders(client, face), window=MARCH, delta_column="updated_at", start_time=tomorrow)
    with pytest.raises(headgate.WaitTimedOut, match=r"still scheduled after 0\.01 s") as over:
        run.wait(timeout=0.01)
    assert over.value.run["id"] == run.id
    assert client.runs.cancel(run.id).id == run.id
    assert run.cancel().refresh().state == "cancelled"
    with pytest.raises(headgate.RunFailed, match="ended as cancelled"):
        run.wait()


def test_a_wait_goes_on_where_its_connection_was_cut(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    asked, heard, states = SimpleQueue[str | None](), SimpleQueue[str](), list[str]()

    def asks(request: httpx.Request) -> None:
        if request.url.path.endswith("/events"):
            asked.put(request.headers.get("Last-Event-ID"))

    def hears(run: Any, event: RunEvent, keep_up: Any = Run._keep_up) -> None:
        keep_up(run, event)
        heard.put(event.id)

    monkeypatch.setattr(Run, "_keep_up", hears)
    known = credentials(face)
    with (
        headgate.Client.of(known) as other,
        proxied(face.http.base_url.port or 0) as proxy,
        headgate.Client.of({**known, "baseUrl": f"http://127.0.0.1:{proxy.port}"}) as client,
        ThreadPoolExecutor() as pool,
    ):
        client._driver.http.event_hooks = {"request": [asks]}
        run = client.runs.start(orders(other, face), window=MARCH, delta_column="updated_at", start_time="2100-01-01")
        waiting = pool.submit(run.wait, on_progress=lambda run: states.append(run.state))
        seen = [heard.get(timeout=20) for _ in range(2)]  # the log's first line, and the run
        proxy.refuse()
        proxy.accept()
        assert [asked.get(timeout=20) for _ in range(2)] == [None, seen[-1]]
        other.runs.cancel(run.id)
        with pytest.raises(headgate.RunFailed, match="cancelled"):
            waiting.result(20)
    assert states == ["scheduled", "cancelled"]


def test_a_key_starts_a_run_once(client: Any, face: Face) -> None:
    flow = orders(client, face)
    asked = {"window": ("2024-03-01", 1_711_929_600), "delta_column": "updated_at", "start_time": "2100-01-01"}
    first, second = (client.runs.start(flow, **asked, idempotency_key=f"k{id(client)}") for _ in range(2))
    other = client.runs.start(flow, **asked)
    assert first.id == second.id != other.id
    with pytest.raises(headgate.Invalid):
        client.runs.start(flow, window=MARCH, idempotency_key=f"k{id(client)}")


def test_changes_hold_for_the_version_they_were_made_for(client: Any, face: Face) -> None:
    id_ = orders(client, face)
    flow = client.flows.get(id_)
    holds(shapes.Flow, flow)
    changed = client.flows.update(flow, {"description": "old"})
    assert changed["description"] == "old"
    with pytest.raises(headgate.Conflict) as conflict:
        client.flows.update(flow, {"description": "mine"})
    assert (conflict.value.status, conflict.value.code) == (412, "FLOW-1404-412")
    assert conflict.value.request_id
    with pytest.raises(headgate.Conflict):
        client.flows.update(id_, {"description": "mine"}, etag=flow["etag"])
    assert client.flows.update(id_, [{"op": "remove", "path": "/description"}]).get("description") is None
    client.flows.disable(id_)
    assert client.flows.get(id_)["state"] == "disabled"
    with pytest.raises(headgate.Invalid, match="disabled"):
        client.runs.start(id_, window=MARCH, delta_column="updated_at")
    client.flows.enable(id_)
    client.flows.delete(id_)
    with pytest.raises(headgate.NotFound) as gone:
        client.flows.get(id_)
    assert gone.value.status == 404


def test_each_kind_has_the_members_it_says(client: Any, face: Face) -> None:
    flow = client.flows.get(orders(client, face))
    source = client.source_connections.get(flow["sourceConnectionIds"][0])
    holds(shapes.SourceConnection, source)
    holds(shapes.TargetConnection, client.target_connections.get(flow["targetConnectionIds"][0]))
    holds(shapes.Connection, client.connections.get(source["baseConnectionId"]))
    for spec in client.connection_specs.list():
        holds(shapes.ConnectionSpec, spec)
    for spec in client.flow_specs.list():
        holds(shapes.FlowSpec, spec)
    assert client.connection_specs.get(client.connection_specs.find("sqlite"))["name"] == "sqlite"
    draft = client.connections.create(
        {"name": "d", "connectionSpec": {"id": source["connectionSpec"]["id"]}}, draft=True
    )
    assert client.connections.get(draft)["state"] == "draft"
    with pytest.raises(headgate.Invalid):
        client.connections.publish(draft)
    client.connections.delete(draft)


def test_names_are_found_if_only_one_has_them(client: Any, face: Face) -> None:
    twin, only = f"twins {id(client)}", f"single child {id(client)}"
    ids = [orders(client, face, **{"description": twin}) for _ in range(2)]
    for id_ in ids:
        client.flows.update(id_, {"name": twin})
    client.flows.update(orders(client, face), {"name": only})
    assert client.flows.find(only)["name"] == only
    assert client.flows.find(ids[0])["id"] == ids[0]
    with pytest.raises(headgate.Invalid, match=f"name one by its id. The newest are {ids[1]}, {ids[0]}"):
        client.runs.start(twin, window=MARCH)
    with pytest.raises(headgate.NotFound, match="There is no flow 'nobody' in this sandbox"):
        client.flows.find("nobody")
    datasets = [client.datasets.create(twin) for _ in range(2)]
    assert client.datasets.find(datasets[0])["id"] == datasets[0]
    with pytest.raises(headgate.Invalid, match=f"{datasets[1]}, {datasets[0]}"):
        client.datasets.find(twin)
    with pytest.raises(headgate.NotFound, match="There is no dataset 'nobody'"):
        client.datasets.find("nobody")
    assert client.datasets.update(datasets[0], {"description": "the first"})["description"] == "the first"
    client.datasets.delete(datasets[0])
    assert client.datasets.find(twin)["id"] == datasets[1]


def test_listings_go_on_page_by_page(client: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_PAGE", 2)
    monkeypatch.setattr(asking, "_MOST", 2)
    name = f"page {id(client)}"
    shop = {"name": name, "connectionSpec": {"id": client.connection_specs.find("sqlite")["id"]}}
    made = [client.connections.create(shop, draft=True)["id"] for _ in range(5)]
    tables = [client.datasets.create(name) for _ in range(5)][::-1]
    for limit in (None, 0, 1, 4, 5, 9):
        listed = client.connections.list(f"name=={name}", limit=limit, orderby="createdAt")
        assert [found["id"] for found in listed] == made[:limit]
        assert [found["id"] for found in client.datasets.list(name=name, limit=limit)] == tables[:limit]
    assert client.connections.count(f"name=={name}") == 5


def test_a_listing_asks_for_pages_as_they_are_come_to(client: Any, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asking, "_MOST", 1)
    orders(client, face), orders(client, face)
    flows = client.flows.list(limit=100)
    first = next(flows)
    for flow in client.flows.list():
        if flow["id"] != first["id"]:
            client.flows.delete(flow)
    assert list(flows) == []


def test_webhooks_are_registered(client: Any, face: Face) -> None:
    with receiving() as receiver:
        body = {"name": "mine", "url": f"{receiver.address}/hook", "eventTypes": ["sources_flow_run_success"]}
        made = client.webhooks.create(body)
        assert made["secret"]
        [webhook] = client.webhooks.list()
        holds(shapes.Webhook, webhook)
        assert list(client.webhooks.deliveries(made)) == []
        client.webhooks.delete(webhook)
    assert client.webhooks.count() == 0


def test_schemas_and_mapping_sets_are_kept(client: Any, face: Face) -> None:
    made = client.schemas.create({"title": "Orders", "type": "object", "allOf": [{"$ref": PROFILE}]})
    assert client.schemas.get(made["$id"])["title"] == "Orders"
    assert client.schemas.update(made["meta:altId"], {"title": "Mine"})["title"] == "Mine"
    assert made["$id"] in [found["$id"] for found in client.schemas.list()]
    client.schemas.delete(made["$id"])
    with pytest.raises(headgate.NotFound):
        client.schemas.get(made["$id"])

    mapping = {"sourceType": "ATTRIBUTE", "source": "id", "destination": "key"}
    set_ = client.mapping_sets.create({"mappings": [mapping]})
    holds(shapes.MappingSet, set_)
    assert client.mapping_sets.update(set_, {"mappings": [{**mapping, "destination": "k"}]})["version"] == 1
    assert client.mapping_sets.get(set_, version=0)["mappings"][0]["destination"] == "key"
    assert set_["id"] in [found["id"] for found in client.mapping_sets.list()]
    client.mapping_sets.delete(set_)


def test_what_waits_is_counted(client: Any, face: Face) -> None:
    flow = orders(client, face)
    client.runs.start(flow, window=MARCH, delta_column="updated_at", start_time="2100-01-01")
    queue = client.queue()
    holds(shapes.Queue, queue)
    holds(shapes.Load, queue["organisation"])
    [waiting] = [found for found in queue["flows"] if found["flowId"] == flow]
    holds(shapes.FlowLoad, waiting)
    assert (waiting["later"], waiting["running"]) == (1, 0)


def test_an_organisation_is_administered(client: Any, face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"loader {id(client)}"
    [mine] = client.organisations()
    assert mine["orgId"] == face.credentials.org_id
    holds(shapes.Organisation, mine)
    role = client.roles.create(name, ["view-sources", "run-on-demand"])
    holds(shapes.Role, role)
    made = client.clients.create(name, role=name, sandbox="prod")
    holds(shapes.MadeClient, made)
    rotated = client.clients.rotate(made, overlap=60)
    holds(shapes.Rotated, rotated)
    assert (rotated["clientSecret"] != made["clientSecret"], rotated["overlapSeconds"]) == (True, 60)
    grant = client.grants.create("ada", name)
    holds(shapes.Grant, grant)
    code = client.clients.code(made, user="ada")
    holds(shapes.SignInCode, code)
    assert code["user"] == "ada"
    assert (grant["kind"], grant["sandbox"]) == ("user", None)
    people = {person["id"]: person for person in client.people.list()}
    holds(shapes.Person, people["ada"])
    assert people["ada"]["roles"] == [{"role": name, "sandbox": None}]
    monkeypatch.setattr(asking, "_MOST", 1)
    listed = {found["id"]: found for found in client.clients.list(limit=50)}
    holds(shapes.ClientApplication, listed[made["id"]])
    assert listed[made["id"]]["roles"] == [{"role": name, "sandbox": "prod"}]
    assert grant in list(client.grants.list(limit=50))
    assert role in list(client.roles.list(limit=50))
    with pytest.raises(headgate.Conflict):
        client.roles.delete(role)
    client.grants.delete(grant)
    client.clients.delete(made)
    client.roles.delete(role)
    assert "ada" not in [person["id"] for person in client.people.list()]

    entries = list(client.audit.list(since="-1h", until=date.max, resource=made["id"], limit=50))
    assert [entry["action"] for entry in entries][-1] == "create"
    assert len(entries) > 1
    holds(shapes.AuditEntry, entries[0])
    assert list(client.audit.list(until="-1h", resource=made["id"])) == []


def test_sandboxes_are_made_and_closed(client: Any, face: Face) -> None:
    name = f"s{id(client)}"
    holds(shapes.Sandbox, client.sandboxes.create(name, title="Mine"))
    assert client.sandboxes.update(name, title="Yours")["title"] == "Yours"
    assert client.sandboxes.reset(name)["name"] == name
    client.sandboxes.delete(name)
    assert client.sandboxes.get(name)["state"] == "deleted"
    assert {"prod", name} <= {found["name"] for found in client.sandboxes.list()}
    with pytest.raises(headgate.NotFound) as missing:
        client.sandboxes.get("nobody")
    assert missing.value.code.startswith("SMS-")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_who_is_not_let_in_is_told_so(face: Face, kind: str) -> None:
    known = credentials(face)
    with client_of(kind, {**known, "accessToken": "mine"}) as client:
        with pytest.raises(headgate.NotAllowed) as refused:
            client.flows.get(NOBODY)
        assert (refused.value.status, refused.value.code) == (401, "401013")
    with client_of(kind, known, sandbox="nowhere") as client, pytest.raises(headgate.RequestFailed, match="nowhere"):
        next(client.flows.list())
    with client_of(kind, {**known, "baseUrl": "http://127.0.0.1:9"}, retries=0) as client:
        with pytest.raises(headgate.Unavailable, match=r"127\.0\.0\.1:9/ does not answer") as down:
            client.flows.count()
        assert (down.value.status, down.value.request_id) == (0, "")


@pytest.mark.parametrize("kind", ["sync", "async"])
def test_a_secret_gets_tokens_by_itself(face: Face, kind: str) -> None:
    known = credentials(face)
    secret = {"accessToken": None, "apiKey": known["clientId"]}
    with client_of(kind, {**known, **secret}, client_secret=known["clientSecret"]) as client:
        assert client.sandboxes.get("prod")["isDefault"] is True
        inner = client if kind == "sync" else client._inner
        auth = inner._driver.http.auth
        auth._token = "ended"
        assert client.sandboxes.get("prod")["isDefault"] is True
        assert auth._token != "ended"
    with (
        client_of(kind, {**known, **secret}, client_secret="wrong") as client,
        pytest.raises(headgate.NotAllowed) as refused,
    ):
        client.sandboxes.get("prod")
    assert refused.value.code == "invalid_client"


def test_the_local_client_finds_its_service(face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    remember_address(face.settings, f"http://127.0.0.1:{unused_port()}")  # as `serve` does, which has ended since
    with headgate.Client.local(face.folder / "data") as client:
        started = time.monotonic()
        with pytest.raises(headgate.Unavailable, match="headgate serve"):
            client.flows.count()
        assert time.monotonic() > started
    with pytest.raises(TypeError, match="either a token or a client_secret"):
        headgate.Client("http://localhost", api_key="k", org="o")


def test_the_environment_names_a_service(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    known = face.credentials
    for name in ("URL", "ORG", "SANDBOX", "TOKEN", "API_KEY", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.delenv(f"HEADGATE_{name}", raising=False)
    with pytest.raises(BadSetting, match="HEADGATE_URL and HEADGATE_ORG and HEADGATE_CLIENT_ID and"):
        headgate.Client.from_environment()
    monkeypatch.setenv("HEADGATE_URL", str(face.http.base_url))
    monkeypatch.setenv("HEADGATE_ORG", known.org_id)
    monkeypatch.setenv("HEADGATE_CLIENT_ID", known.client_id)
    monkeypatch.setenv("HEADGATE_CLIENT_SECRET", known.client_secret)
    with headgate.Client.from_environment(timeout=30) as client:
        assert client.flows.count() >= 0
    monkeypatch.setenv("HEADGATE_TOKEN", "mine")
    with pytest.raises(BadSetting, match="HEADGATE_API_KEY must be set"):
        headgate.Client.from_environment()
    monkeypatch.setenv("HEADGATE_API_KEY", known.api_key)
    monkeypatch.setenv("HEADGATE_SANDBOX", "nowhere")
    with headgate.Client.from_environment() as client, pytest.raises(headgate.NotAllowed):
        client.flows.count()


def test_an_id_stays_one_segment_of_the_address(client: Any) -> None:
    for id_ in ("", "..", "."):
        with pytest.raises(headgate.NotFound, match="is no id"):
            client.runs.get(id_)
    with pytest.raises(headgate.NotFound):
        client.runs.get("../flows")
