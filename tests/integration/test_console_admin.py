"""The console's pages of datasets, workers, people and the audit log."""

import re
import subprocess
import time
from collections.abc import Iterator
from html import unescape
from typing import Any

import httpx
import pytest

from headgate.model.orgs import Grant
from headgate.service.working import working
from tests.browser.seeded import ran
from tests.integration.face import Face
from tests.integration.visitor import Visitor, visiting

DELTA = {"name": "updated_at"}


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    """Somebody who may do everything, at a service with one table that is filled and one that is not."""
    with visiting(tmp_path_factory.mktemp("console")) as visitor:
        face = visitor.face
        flow = face.flow(name="Daily <orders>", targetConnectionIds=[face.target(face.dataset("Orders & more"))])
        face.run(flow, deltaColumn=DELTA)
        ran(face)
        face.dataset("Empty")
        yield visitor


def dataset(face: Face, name: str) -> str:
    found = face.get("/data/foundation/catalog/dataSets", name=name).json()
    return str(next(iter(found)))


def person(visitor: Visitor, user: str, role: str, sandbox: str | None = None) -> Visitor:
    visitor.face.store.tenants.grant(visitor.face.credentials.org_id, Grant(user, "user", role, sandbox))
    return visitor.other().sign_in(user)


def words(html: str) -> str:
    """What a page says, without its tags."""
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", html)).split())


def test_datasets_are_listed_and_found_by_name(visitor: Visitor) -> None:
    page = visitor.page("/datasets")
    assert "Orders &amp; more" in page
    assert "Empty" in page
    assert "Empty" not in visitor.page("/datasets?name=order")
    part = visitor.get("/datasets?name=nothing", hx_request="true").text
    assert "No dataset is called so" in part
    assert "<html" not in part
    assert visitor.get("/datasets?continuationToken=x").status_code == 200


def test_a_dataset_shows_what_it_is_made_of(visitor: Visitor) -> None:
    face, at = visitor.face, f"/datasets/{dataset(visitor.face, 'Orders & more')}"
    page = words(visitor.page(at))
    assert "updated_at timestamp no the source" in page
    assert "_headgate_run_id string no Headgate" in page
    run = face.get("/runs").json()["items"][0]["id"]
    snapshots = visitor.page(f"{at}?show=snapshots")
    assert f'href="/runs/{run}"' in snapshots
    assert "append (present) 22" in words(snapshots)
    preview = words(visitor.page(f"{at}?show=preview"))
    assert "22 rows" in preview
    assert "null" in preview
    empty = f"/datasets/{dataset(face, 'Empty')}"
    for show, said in (("schema", "No columns yet"), ("snapshots", "No snapshot yet"), ("preview", "No rows yet")):
        assert said in visitor.page(f"{empty}?show={show}")
    assert visitor.get("/datasets/none").status_code == 404


def test_sql_is_answered_beside_its_box(visitor: Visitor) -> None:
    at = f"/datasets/{dataset(visitor.face, 'Orders & more')}"
    box = visitor.page(f"{at}?show=sql")
    assert 'FROM "orders_more"' in unescape(box)
    sql = "SELECT '<b>' AS tag, count(*) AS n FROM orders_more"
    whole = visitor.post(f"{at}/query", {"sql": sql})
    assert "<td>&lt;b&gt;</td>" in whole.text
    assert '<td class="number">22</td>' in whole.text
    assert sql in unescape(whole.text)
    part = visitor.post(f"{at}/query", {"sql": "SELECT * FROM read_text('/etc/passwd')"}, hx_request="true")
    assert part.status_code == 400
    assert "cannot be used here" in part.text
    assert "<html" not in part.text
    assert "root:" not in part.text
    assert visitor.post(f"{at}/query", {"sql": ""}).status_code == 400


def test_a_query_ends_when_the_browser_leaves(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[subprocess.Popen[bytes]] = []
    popen = subprocess.Popen

    def spied(*arguments: Any, **about: Any) -> Any:
        started.append(popen(*arguments, **about))
        return started[-1]

    at = f"/datasets/{dataset(visitor.face, 'Orders & more')}"
    visitor.page(f"{at}?show=sql")
    monkeypatch.setattr(subprocess, "Popen", spied)
    monkeypatch.setattr(visitor.http, "timeout", httpx.Timeout(0.5))
    with pytest.raises(httpx.ReadTimeout):
        visitor.post(f"{at}/query", {"sql": "SELECT sum(range % 7) FROM range(1000000000000)"})
    until = time.monotonic() + 20
    while not (started and started[0].returncode is not None) and time.monotonic() < until:
        time.sleep(0.02)
    assert [process.returncode for process in started] == [-9]


def test_workers_and_the_queue_are_shown(visitor: Visitor) -> None:
    face = visitor.face
    assert "No worker is there" in visitor.page("/workers")
    flow = face.get("/flows").json()["items"][0]["id"]
    run = face.run(flow, windowStartTime="1", windowEndTime="2").json()["id"]
    page = words(visitor.page("/workers"))
    assert "Waiting 1" in page
    assert "Daily <orders> 1 0 0" in page
    face.send("POST", f"/runs/{run}/action?op=cancel", None)
    with working(face.settings) as worker:
        for _ in range(200):
            if worker.name in (page := visitor.page("/workers")):
                break
        assert worker.name in page
        assert "idle" in page


def test_a_role_is_given_and_taken(visitor: Visitor) -> None:
    visitor.page("/people")
    form = {"principal": "carol@example.com", "kind": "user", "role": "viewer", "sandbox": "dev"}
    answer = visitor.post("/people/grants", form)
    assert (answer.status_code, answer.headers["location"]) == (303, "/people")
    page = visitor.page("/people")
    assert "carol@example.com has the role viewer in the sandbox dev." in words(page)
    row = next(row for row in page.split("<tr ") if ">carol@example.com</td>" in row)
    taken = visitor.post(re.findall(r'action="(/people/grants/[^"]+)"', row)[0])
    assert taken.status_code == 303
    assert ">carol@example.com</td>" not in visitor.page("/people")
    wrong = visitor.post("/people/grants", {**form, "principal": ""})
    assert wrong.status_code == 400
    assert "principal is missing or empty." in wrong.text


def test_a_secret_is_shown_once(visitor: Visitor) -> None:
    visitor.page("/people")
    made = visitor.post("/people/clients", {"name": "reports", "role": "viewer", "sandbox": ""})
    secret = re.findall(r'client secret"><code>([^<]+)<', made.text)[0]
    id_ = re.findall(r'client id"><code>([^<]+)<', made.text)[0]
    page = visitor.page("/people")
    assert secret not in page
    assert id_ in page
    asked = {"grant_type": "client_credentials", "client_id": id_, "client_secret": secret}
    assert visitor.http.post("/ims/token/v3", data=asked).status_code == 200
    rotated = visitor.post(f"/people/clients/{id_}/rotate")
    assert re.findall(r'client secret"><code>([^<]+)<', rotated.text)[0] != secret
    nobody = visitor.post("/people/codes", {"user": "dora@example.com", "client": id_})
    assert "has a role in this organisation" in nobody.text
    visitor.face.store.tenants.grant(visitor.face.credentials.org_id, Grant("dora@example.com", "user", "viewer", None))
    code = visitor.post("/people/codes", {"user": "dora@example.com", "client": id_})
    assert re.search(r'sign-in code"><code>[^<]+<', code.text)
    assert visitor.post(f"/people/clients/{id_}/remove").status_code == 303
    assert id_ not in words(visitor.page("/people")).partition("is removed.")[2]
    assert visitor.post("/people/clients", {"name": ""}).status_code == 400


def test_a_role_is_made_and_removed(visitor: Visitor) -> None:
    visitor.page("/people")
    sent = visitor.http.post(
        "/people/roles",
        data={"csrf": visitor._csrf, "name": "looker", "permission": ["view-datasets", "view-sources"]},
        headers={"origin": visitor.base},
    )
    assert sent.status_code == 303
    assert "looker view-datasets, view-sources" in words(visitor.page("/people"))
    assert visitor.post("/people/roles", {"name": "looker", "permission": "view-datasets"}).status_code == 409
    visitor.post("/people/roles/looker/remove")
    assert "The role is removed." in visitor.page("/people")
    visitor.post("/people/roles/looker/remove")
    assert "No role" in visitor.page("/people")


def test_the_audit_log_is_shown_and_filtered(visitor: Visitor) -> None:
    page = words(visitor.page("/audit?resource=flows&within=24h"))
    assert re.search(r"local@headgate hg_\S+ create flows [0-9a-f-]{36} prod", page)
    assert "dataSets" not in visitor.get("/audit?resource=flows", hx_request="true").text
    assert "No entry matches" in visitor.page("/audit?principal=nobody")
    visitor.page("/audit?action=query&sandbox=prod&within=7d")
    assert visitor.get("/audit?since=tomorrow").status_code == 400


def test_pages_are_for_those_who_may_see_them(visitor: Visitor) -> None:
    viewer = person(visitor, "view@example.com", "viewer")
    menu = viewer.page("/datasets")
    assert 'href="/workers"' in menu
    assert 'href="/people"' not in menu
    assert 'href="/audit"' not in menu
    for path in ("/people", "/audit"):
        assert viewer.get(path).status_code == 403
    assert viewer.post("/people/grants", {"principal": "x", "role": "viewer"}).status_code == 403
    id_ = dataset(visitor.face, "Orders & more")
    other = person(visitor, "other@example.com", "viewer", "dev")
    assert other.get(f"/datasets/{id_}").status_code in (303, 404)
    assert "Orders" not in other.get("/datasets?sandbox=dev").text
