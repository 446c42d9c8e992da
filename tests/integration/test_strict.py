"""What `strict` refuses, and is otherwise let pass."""

import time
from collections.abc import Iterator

import pytest

from tests.integration.face import Face, refused, serving

AHEAD = {"startTime": str(int(time.time()) + 86_400), "frequency": "once"}


@pytest.fixture(scope="module", params=[True, False], ids=["strict", "lenient"])
def strict(request: pytest.FixtureRequest) -> bool:
    return bool(request.param)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory, strict: bool) -> Iterator[Face]:
    with serving(tmp_path_factory.mktemp("service"), strict=strict) as face:
        yield face


def test_start_in_the_past(face: Face, strict: bool) -> None:
    answer = face.post("/flows", face.flow_body(scheduleParams={"startTime": "1612310466", "frequency": "once"}))
    if strict:
        refused(answer, 400, "CONNECTOR-1360-400")
    else:
        assert answer.status_code == 201
    assert face.post("/flows", face.flow_body(scheduleParams=AHEAD)).status_code == 201


def test_start_in_the_past_of_a_draft(face: Face, strict: bool) -> None:
    body = face.flow_body(scheduleParams={"startTime": "1612310466", "frequency": "once"})
    flow = face.made("/flows?mode=draft", body)
    answer = face.post(f"/flows/{flow}/action?op=publish", None)
    if strict:
        refused(answer, 400, "CONNECTOR-1360-400")
    else:
        assert answer.status_code == 200


@pytest.mark.parametrize("name", [None, ""])
def test_sandbox_header_missing(face: Face, strict: bool, name: str | None) -> None:
    headers = {key: value for key, value in face.headers.items() if key != "x-sandbox-name"}
    if name is not None:
        headers["x-sandbox-name"] = name
    answer = face.http.get("/data/foundation/flowservice/flows", headers=headers)
    if strict:
        refused(answer, 400, "FLOW-2105-400")
    else:
        assert answer.status_code == 200


def test_count_beside_limit(face: Face, strict: bool) -> None:
    answer = face.get("/flows", count="true", limit="5")
    if strict:
        refused(answer, 400, "FLOW-1401-400")
    else:
        assert set(answer.json()) == {"count"}
    assert set(face.get("/flows", count="True").json()) == {"count"}
    assert "items" in face.get("/flows", count="False", limit="5").json()


def test_run_without_params(face: Face, strict: bool) -> None:
    flow = face.flow(scheduleParams=AHEAD)
    assert face.run(flow, deltaColumn={"name": "updated_at"}).status_code == 201
    answer = face.post("/runs", {"flowId": flow})
    if strict:
        refused(answer, 400, "CONNECTOR-1384-400")
    else:
        assert answer.status_code == 201
