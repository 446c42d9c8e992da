"""Every manifest, on a fake of its vendor: an ad hoc run lands exactly the records of its window."""

import base64
import logging
import pkgutil
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any
from unittest.mock import patch

import orjson
import pytest

import tests.vendors
from headgate.config import Settings
from headgate.engine import Worker
from headgate.model.resources import Kind
from headgate.model.scope import Tenancy
from headgate.sources import Selection, Source, open_source
from headgate.sources.rest.budget import Budget
from headgate.targets import Lake
from tests.integration.face import Face, serving
from tests.integration.lake_story import ended, working
from tests.sql_tables import read, read_counting, window
from tests.vendors.fake import Fake, Vendor, served

MODULES = [
    import_module(f"tests.vendors.{module.name}")
    for module in pkgutil.iter_modules(tests.vendors.__path__)
    if module.name != "fake" and not module.name.startswith("test_")
]
VENDORS: list[Vendor] = [
    vendor for module in MODULES for vendor in getattr(module, "VENDORS", [getattr(module, "VENDOR", None)]) if vendor
]
NAMES = [f"{vendor.spec}-{vendor.data.strip('/')}" for vendor in VENDORS]
FLOWS = {"table": "14518937-270c-4525-bdec-c2ba7cce3860", "rest": "6499120c-0b15-42dc-936e-847ea3c24d72"}
Json = Any


@pytest.fixture(scope="module", autouse=True)
def hurried() -> Iterator[None]:
    """Fakes may be asked as fast as one can: what a budget is kept by is a clock."""
    with patch.object(Budget, "take", lambda *_: None):
        yield


@pytest.fixture(scope="module")
def fakes() -> Iterator[dict[str, Fake]]:
    with served(VENDORS) as fakes:
        yield fakes


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("vendors")) as face:
        yield face


@pytest.fixture(scope="module")
def worker(face: Face) -> Iterator[Worker]:
    with working(face) as worker:
        yield worker


@pytest.fixture(params=range(len(VENDORS)), ids=NAMES)
def fake(request: pytest.FixtureRequest, fakes: dict[str, Fake]) -> Fake:
    found: Fake = list(fakes.values())[request.param]
    found.forget()
    return found


def test_a_run_lands_exactly_the_records_of_its_window(
    fake: Fake, face: Face, worker: Worker, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    vendor, said = fake.vendor, []
    caplog.set_level(logging.INFO)
    connection = _connection(face, fake, vendor.auth)
    said.append(face.get(f"/connections/{connection}").text)
    tested = face.get(f"/connections/{connection}/test")
    assert tested.json() == {"result": True}, tested.text
    flow = _flow(face, fake, connection)
    start, end = (str(stamp // 1000) for stamp in (vendor.span.start_ms, vendor.span.end_ms))
    delta = {"deltaColumn": {"name": vendor.delta}} if vendor.delta or vendor.catalogue.kind == "table" else {}
    if vendor.spec == "zendesk":
        told = face.post("/runs:estimate", {"flowId": flow, "params": _span(start, end)}).json()
        assert told["windowInWords"].startswith("Rows whose updated_at is 2026-"), told
    fake.seen.clear()
    run = ended(face, worker, face.post("/runs", {"flowId": flow, "params": _span(start, end) | delta}))
    [item] = face.get(f"/runs/{run}").json()["items"]
    assert item["metrics"]["statusSummary"]["status"] == "success", item
    vendor.asked(fake.asked)
    rows = _rows(face, flow)
    assert sorted(row[vendor.key] for row in rows) == sorted(vendor.expected)
    vendor.check_row(next(row for row in rows if row[vendor.key] == min(vendor.expected)))
    assert item["metrics"]["recordSummary"].get("failedRecordCount", 0) == len(vendor.bad)
    said += [face.get(f"/runs/{run}").text, face.get(f"/connections/{connection}").text, caplog.text]
    said += list(capfd.readouterr())
    for secret in _secrets(vendor):
        assert not any(secret in text for text in said), f"{secret} was told"


def test_it_is_explored_and_previewed(fake: Fake, face: Face) -> None:
    vendor = fake.vendor
    address = f"/connections/{_connection(face, fake, vendor.auth)}/explore"
    stream: str = _opened(face.settings, fake)._reader.named(vendor.params)  # type: ignore[attr-defined]
    listed = face.get(address, objectType="root")
    paths = [entry["path"] for entry in listed.json()]
    assert stream.partition("?")[0] in paths if vendor.listed else not paths, listed.text
    if vendor.catalogue.kind == "rest":
        told = base64.b64encode(orjson.dumps(vendor.params)).decode()
        found = face.get(address, objectType="rest", object="json", sourceParams=told, preview="true")
        assert found.json()["format"] == "hierarchical", found.text
    else:
        found = face.get(address, objectType="table", object=stream, preview="true")
    assert found.status_code == 200, found.text
    assert all(vendor.key in row for row in found.json()["data"]), found.text
    assert found.json()["deltaColumns"]


@pytest.mark.parametrize(
    "fake",
    [pytest.param(place, id=NAMES[place]) for place, vendor in enumerate(VENDORS) if vendor.wrong_auth],
    indirect=True,
)
def test_wrong_credentials_are_refused_and_not_told(fake: Fake, face: Face) -> None:
    vendor = fake.vendor
    wrong = {**vendor.auth, **vendor.wrong_auth}
    connection = _connection(face, fake, wrong)
    answer = face.get(f"/connections/{connection}/test")
    assert answer.json()["result"] is False, answer.text
    assert not any(str(secret) in answer.text for secret in vendor.wrong_auth.values())


def test_an_empty_window_has_nothing(fake: Fake, tmp_path: Path) -> None:
    vendor = fake.vendor
    source = _opened(Settings(data=tmp_path), fake)
    found = read(source, Selection(vendor.params), window(*vendor.empty_window), _delta(source, vendor))
    assert found == []


def test_a_read_goes_on_after_refusals(fake: Fake, tmp_path: Path) -> None:
    vendor = fake.vendor
    fake.fail(429, Retry_After="0")
    fake.fail(503, on=2)
    if vendor.renews:
        fake.fail(401, on=3)
    source = _opened(Settings(data=tmp_path), fake)
    selection = Selection(vendor.params)
    if vendor.bad:
        rows, refused = read_counting(source, selection, tmp_path, vendor.span, _delta(source, vendor))
        assert refused == len(vendor.bad)
    else:
        rows = read(source, selection, vendor.span, _delta(source, vendor))
    place = [column.name for column in source.describe(selection).columns].index(vendor.key)
    assert sorted(row[place] for row in rows) == sorted(vendor.expected)


def _connection(face: Face, fake: Fake, auth: Json) -> str:
    params = {**auth, "serviceUrl": fake.address}
    body = {"name": "vendor", "connectionSpec": {"id": fake.vendor.catalogue.id}}
    return face.made("/connections", {**body, "auth": {"specName": fake.vendor.auth_spec, "params": params}})


def _flow(face: Face, fake: Fake, connection: str) -> str:
    vendor = fake.vendor
    source = {"name": "stream", "connectionSpec": {"id": vendor.catalogue.id}, "baseConnectionId": connection}
    source_id = face.made("/sourceConnections", {**source, "params": dict(vendor.params)})
    dataset = face.dataset(f"{vendor.spec} {connection[:8]}")
    options = {"options": {"errorDiagnosticsEnabled": True, "partialIngestionPercent": 50}} if vendor.bad else {}
    return face.flow(
        flowSpec={"id": FLOWS[vendor.catalogue.kind], "version": "1.0"},
        sourceConnectionIds=[source_id],
        targetConnectionIds=[face.target(dataset)],
        **options,
    )


def _rows(face: Face, flow: str) -> list[Json]:
    lake = Lake(face.settings.warehouse)
    try:
        found = lake.find(tuple(face.scoped().get(Kind.FLOW, flow).frozen["target"]["table"]))
        assert found is not None
        rows: list[Json] = found._refresh().scan().to_arrow().to_pylist()
        return rows
    finally:
        lake.close()


def _opened(settings: Settings, fake: Fake) -> Source:
    params = {**fake.vendor.auth, "serviceUrl": fake.address}
    return open_source(fake.vendor.catalogue.id, params, settings, Tenancy("ORG", shared=False))


def _delta(source: Source, vendor: Vendor) -> str:
    name = vendor.delta or source.describe(Selection(vendor.params)).delta
    assert name is not None
    return name


def _span(start: str, end: str) -> Json:
    return {"windowStartTime": start, "windowEndTime": end}


def _secrets(vendor: Vendor) -> list[str]:
    return [str(value) for name, value in vendor.auth.items() if name in vendor.catalogue.secrets]
