"""The calendar of a flow's windows, and the runs that share time with one."""

from headgate.model.runs import RunState
from tests.integration.face import Face, refused, second_org
from tests.integration.test_api_runs import DELTA, finish

MARCH_1 = 1709251200


def test_the_calendar_of_a_flow(face: Face) -> None:
    flow, day = face.flow(), 86400

    def run(first: int, last: int, state: RunState) -> None:
        run = face.run(
            flow, deltaColumn=DELTA, windowStartTime=MARCH_1 + first * day, windowEndTime=MARCH_1 + last * day
        )
        finish(face, run.json()["id"], state)

    empty = face.get(f"/flows/{flow}/windows").json()
    assert [span["state"] for span in empty["items"]] == ["missing"]
    assert empty["sinceLastSuccess"]["windowStartTime"] == 0
    run(0, 3, RunState.SUCCESS)
    run(2, 5, RunState.FAILED)
    run(7, 8, RunState.SUCCESS)
    face.run(flow, windowStartTime=MARCH_1 + 9 * day, windowEndTime=MARCH_1 + 10 * day)
    found = face.get(f"/flows/{flow}/windows", **{"from": MARCH_1, "to": MARCH_1 + 11 * day}).json()
    spans = [
        ((span["windowStartTime"] - MARCH_1) // day, (span["windowEndTime"] - MARCH_1) // day, span["state"])
        for span in found["items"]
    ]
    assert spans == [
        (0, 3, "ingested"),
        (3, 5, "failed"),
        (5, 7, "missing"),
        (7, 8, "ingested"),
        (8, 9, "missing"),
        (9, 10, "running"),
        (10, 11, "missing"),
    ]
    assert found["sinceLastSuccess"]["windowStartTime"] == MARCH_1 + 8 * day
    assert face.get(f"/flows/{flow}/windows").json()["from"] == MARCH_1
    refused(face.get(f"/flows/{flow}/windows", **{"from": 2, "to": 1}), 400, "CONNECTOR-1381-400")
    refused(second_org(face).get(f"/flows/{flow}/windows"), 404, "FLOW-1439-404")
    over = face.post(
        "/runs:estimate",
        {"flowId": flow, "params": {"windowStartTime": MARCH_1 + 3 * day, "windowEndTime": MARCH_1 + 8 * day}},
    )
    assert [run["state"] for run in over.json()["earlierRuns"]] == ["success", "failed"]
