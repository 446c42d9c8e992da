"""`headgate apply` and `headgate export`: documents, and the sandboxes they describe."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from tests.integration.commanding import Commands
from tests.integration.face import Face, serving

DOCUMENT = """
connections:
  shop: {spec: sqlite, params: {path: SHOP}}
  crm:
    spec: postgresql
    description: customers
    params: {server: 127.0.0.1, database: crm, username: reader, password: "${CRM_PASSWORD}"}
datasets:
  Orders: {}
sources:
  orders: {connection: shop, params: {tableName: orders}}
  files: {spec: local-files, data: {format: delimited}, params: {path: "*.csv"}}
targets:
  orders: {dataset: Orders, params: {writeMode: upsert, primaryKey: [id]}}
  files: {dataset: Orders}
flows:
  orders: {source: orders, target: orders, labels: [shop]}
  nightly:
    source: orders
    target: orders
    deltaColumn: updated_at
    schedule: {frequency: day, interval: 1, startTime: 4102444800}
    enabled: false
"""


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("apply")) as face:
        yield face


@pytest.fixture
def document(face: Face, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRM_PASSWORD", "hunter2")
    path = tmp_path / "flows.yaml"
    path.write_text(DOCUMENT.replace("SHOP", str(face.folder / "shop.db")))
    return path


def test_a_document_goes_round_through_two_sandboxes(face: Face, document: Path, tmp_path: Path) -> None:
    headgate = Commands(face)
    tried = headgate("apply", "-f", str(document), "--dry-run")
    assert tried.count("+ ") == 9
    assert headgate("export") == "{}\n"
    headgate("apply", "-f", str(document))
    assert headgate("apply", "-f", str(document)) == ""  # nothing is left to do
    exported = headgate("export")
    assert "hunter2" not in exported
    written = yaml.safe_load(exported)
    assert written["connections"]["crm"]["params"]["password"] == "${CRM_PASSWORD}"
    assert written["flows"]["nightly"]["enabled"] is False
    assert written["targets"]["files"]["params"] == {"writeMode": "replaceWindow"}

    again = tmp_path / "exported.yaml"
    again.write_text(exported)
    assert headgate("apply", "-f", str(again)) == ""
    assert headgate("apply", "-f", str(again), "--sandbox", "dev").count("+ ") == 9
    assert headgate("export", "--sandbox", "dev") == exported
    assert headgate.json("apply", "-f", str(again), "--sandbox", "dev")[0]["action"] == "none"


def test_what_differs_is_changed_and_a_flow_reads_its_changed_source(face: Face, document: Path) -> None:
    headgate = Commands(face)
    headgate("apply", "-f", str(document))
    before = headgate.json("flows", "show", "orders")
    face.run(before["id"], deltaColumn={"name": "updated_at"})  # the first run names the delta column
    held = headgate.json("flows", "show", "nightly")["transformations"]
    shutil.copy(face.folder / "shop.db", face.folder / "copy.db")
    text = document.read_text()
    for was, becomes in (
        ("tableName: orders}", "tableName: orders, columns: [{name: id}, {name: updated_at}]}"),
        ("shop.db", "copy.db"),
        ("enabled: false", "enabled: true"),
        ("interval: 1", "interval: 2"),
        ("labels: [shop]", "labels: [shop, daily]"),
        ("customers", "clients"),
    ):
        assert was in text
        text = text.replace(was, becomes)
    document.write_text(text)
    shown = headgate("apply", "-f", str(document), "--diff")
    assert [line for line in shown.splitlines() if line[0] == "~"] == [
        "~ connections shop",
        "~ connections crm",
        "~ sources orders",
        "~ flows orders",
        "~ flows nightly",
    ]
    assert "    +- daily" in shown
    assert "    -  interval: 1" in shown
    after = headgate.json("flows", "show", "orders")
    assert after["id"] == before["id"]
    assert after["sourceConnectionIds"] != before["sourceConnectionIds"]  # it would keep the copy it has
    assert after["transformations"] == []
    assert after["labels"] == ["shop", "daily"]
    nightly = headgate.json("flows", "show", "nightly")
    assert (nightly["state"], nightly["transformations"]) == ("enabled", held)
    assert len(headgate.json("source-connections", "list", "--name", "orders")) == 1
    assert headgate("apply", "-f", str(document)) == ""


def test_secrets_are_named_never_written(face: Face, document: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    headgate = Commands(face)
    text = document.read_text()
    document.write_text(text.replace("${CRM_PASSWORD}", "hunter2"))
    refused = headgate("apply", "-f", str(document), code=2)
    assert "password is a secret" in refused
    assert "hunter2" not in refused
    monkeypatch.delenv("CRM_PASSWORD")
    document.write_text(text.replace("  crm:", "  other:"))
    assert "needs the environment variable CRM_PASSWORD" in headgate("apply", "-f", str(document), code=2)


def test_what_is_wrong_with_a_document_is_said_before_anything_is_made(face: Face, document: Path) -> None:
    headgate = Commands(face)
    for text, words in (
        ("flow: {}", "a section 'flow'"),
        ("flows: {a: {sink: b}}", "the member 'sink'"),
        ("flows: {a: {source: nowhere, target: orders}}", "the source 'nowhere', which is nowhere"),
        ("datasets: {a: {}, a: {}}", "'a' stands twice"),
        ("connections: {a: {}}", "has no spec"),
        ("- 1", "holds no object"),
    ):
        document.write_text(text)
        assert words in headgate("apply", "-f", str(document), code=3 if "nowhere" in text else 2)


def test_things_of_one_name_are_told_apart(face: Face) -> None:
    headgate = Commands(face)
    dev = face.of("dev")
    first, second = dev.dataset("twins"), dev.dataset("twins")
    exported = yaml.safe_load(headgate("export", "--sandbox", "dev"))
    assert {f"twins ({first[:8]})", f"twins ({second[:8]})"} <= set(exported["datasets"])
