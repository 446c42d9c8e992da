"""The console's pages of connections: the list, one of them, and what it reaches."""

import re
from collections.abc import Iterator
from html import unescape

import pytest

from tests.integration.face import LOCAL_FILES, POSTGRESQL, SQLITE
from tests.integration.visitor import Visitor, visiting

SECRET = "correct horse"


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("connections")) as visitor:
        (visitor.face.folder / "exports").mkdir()
        (visitor.face.folder / "exports" / "orders.csv").write_text("id;total\n1;3.5\n2;<b>4</b>\n")
        yield visitor


@pytest.fixture(scope="module")
def shop(visitor: Visitor) -> str:
    """A connection that a flow reads through."""
    face = visitor.face
    connection = face.connection("Shop database")
    target = face.target(face.dataset("Orders of the shop"))
    face.flow(name="Orders, daily", sourceConnectionIds=[face.source(connection)], targetConnectionIds=[target])
    return connection


def test_the_list_is_filtered_by_source_and_creator(visitor: Visitor, shop: str) -> None:
    visitor.face.made("/connections", {"name": "Drop folder", "connectionSpec": {"id": LOCAL_FILES}})
    html = visitor.page("/connections")
    assert re.search(rf'href="/connections/{shop}">Shop database</a>(.|\n)*?"Flows" class="number">1<', html)
    assert "Drop folder" in html
    of_sqlite = visitor.get(f"/connections?source={SQLITE}", hx_request="true").text
    assert "Shop database" in of_sqlite
    assert "Drop folder" not in of_sqlite
    named = visitor.page("/connections?name=FOLD")
    assert ("Drop folder</a>" in named, "Shop database</a>" in named) == (True, False)
    assert "No connection matches" in visitor.page("/connections?creator=somebody")


def test_a_connection_shows_its_flows_and_is_tested(visitor: Visitor, shop: str) -> None:
    html = visitor.page(f"/connections/{shop}")
    assert re.search(r'href="/flows/[^"]+">Orders, daily</a>', html)
    assert re.search(r'href="/datasets/[^"]+">Orders of the shop</a>', html)
    assert "shop.db" in html
    assert "The test passed" in visitor.post(f"/connections/{shop}/test").text
    assert visitor.get("/connections/nothing").status_code == 404


def test_a_connection_in_use_says_by_what_and_stays(visitor: Visitor, shop: str) -> None:
    html = visitor.page(f"/connections/{shop}")
    assert re.search(r"It is used by <a [^>]*>Orders, daily</a>", html)
    assert f'action="/connections/{shop}/delete"' not in html
    refused = visitor.post(f"/connections/{shop}/delete")
    assert refused.status_code == 400
    assert "FLOW-1418-400" in refused.text


def test_a_connection_is_renamed_and_deleted(visitor: Visitor) -> None:
    id_ = visitor.face.connection("Old name")
    etag = re.search(r'name="etag" value="([^"]+)"', visitor.page(f"/connections/{id_}"))
    assert etag is not None
    form = {"name": "New name", "description": "Of the shop", "etag": unescape(etag[1])}
    assert visitor.post(f"/connections/{id_}", form).status_code == 303
    assert "New name" in visitor.page(f"/connections/{id_}")
    assert visitor.post(f"/connections/{id_}", form).status_code == 412
    assert visitor.post(f"/connections/{id_}/delete").headers["location"] == "/connections"
    assert visitor.get(f"/connections/{id_}").status_code == 404


def test_new_credentials_keep_what_is_not_given(visitor: Visitor) -> None:
    params = {"server": "127.0.0.1", "database": "shop", "username": "reader", "password": SECRET, "port": 1}
    auth = {"specName": "Basic Authentication", "params": params}
    body = {"name": "Elsewhere", "connectionSpec": {"id": POSTGRESQL}, "auth": auth}
    id_ = visitor.face.made("/connections", body)
    page = visitor.page(f"/connections/{id_}/credentials")
    assert SECRET not in page + visitor.page(f"/connections/{id_}")
    form = {f"p.{name}": str(value) for name, value in params.items()} | {"p.password": "", "p.username": "other"}
    saved = visitor.post(f"/connections/{id_}/credentials", form)
    assert saved.headers["location"] == f"/connections/{id_}"
    assert "Saved, but the test did not pass." in visitor.page(f"/connections/{id_}")
    assert visitor.face.scoped().secret(id_) == {**params, "username": "other"}
    wrong = visitor.post(f"/connections/{id_}/credentials", {**form, "p.port": "70000"})
    assert wrong.status_code == 400
    assert "f-p.port-error" in wrong.text


def test_tables_are_explored(visitor: Visitor, shop: str) -> None:
    html = visitor.page(f"/connections/{shop}/explore?object=orders")
    assert 'hx-target="#preview" hx-push-url="true" aria-current="true">' in html
    assert '<th scope="col">updated_at<small>timestamp</small></th>' in html
    assert "Could be a run's delta column: <code>updated_at</code>, <code>created</code>" in html
    assert html.count("<tr><td>") == 50
    searched = visitor.get(f"/connections/{shop}/explore?show=tree&q=zzz", hx_request="true").text
    assert "Nothing of that name is here." in searched
    assert "nothing" in visitor.page(f"/connections/{shop}/explore?object=nothing")


def test_folders_and_files_are_explored(visitor: Visitor) -> None:
    params = {"folder": str(visitor.face.folder)}
    auth = {"specName": "Folder", "params": params}
    body = {"name": "Folder", "connectionSpec": {"id": LOCAL_FILES}, "auth": auth}
    id_ = visitor.face.made("/connections", body)
    root = visitor.page(f"/connections/{id_}/explore")
    assert "<summary>exports</summary>" in root
    path = re.search(r"\?folder=([^\"]*exports)", root)
    assert path is not None
    children = visitor.get(f"/connections/{id_}/explore?show=children&children={path[1]}", hx_request="true").text
    assert "orders.csv" in children
    assert "<html" not in children
    file = re.search(r"object=([^\"&]*orders\.csv)", children)
    assert file is not None
    shown = visitor.page(f"/connections/{id_}/explore?object={file[1]}")
    assert '<option value=";" selected>' in shown
    assert "&lt;b&gt;4&lt;/b&gt;" in shown
    as_json = visitor.page(f"/connections/{id_}/explore?object={file[1]}&fileType=json")
    assert 'role="alert"' in as_json
