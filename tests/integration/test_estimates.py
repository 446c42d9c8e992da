"""What a run would do: estimates."""

import os
import sqlite3
import threading
from typing import Any

import psycopg
import pytest

from headgate.model.runs import RunState
from headgate.service import estimates
from headgate.sources.sql.sqlite import SqliteSource
from tests.integration.face import CATALOG, NOBODY, POSTGRESQL, WINDOW, Face, Json, refused
from tests.integration.test_api_runs import DELTA

MARCH_1, MARCH_12 = 1709251200, 1710201600


@pytest.fixture(scope="module")
def metadata() -> str:
    """On SQLite alone: what is asked here are sources."""
    return ""


def estimate(face: Face, flow: str, **params: Any) -> Json:
    answer = face.post("/runs:estimate", {"flowId": flow, "params": {**WINDOW, **params}})
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def stored_runs(face: Face, flow: str) -> int:
    count: int = face.get(f"/flows/{flow}/runs", count="true").json()["count"]
    return count


def test_a_table_is_counted_and_nothing_is_stored(face: Face) -> None:
    flow = face.flow()
    assert estimate(face, flow, deltaColumn=DELTA) == {
        "flowId": flow,
        "window": {"windowStartTime": MARCH_1, "windowEndTime": MARCH_12},
        "windowInWords": "Rows whose updated_at is 2024-03-01T00:00:00Z or later, and before 2024-03-12T00:00:00Z. "
        "Rows without a value are not taken.",
        "deltaColumn": {
            "name": "updated_at",
            "chosenBy": "request",
            "least": "2024-03-01 12:00:00",
            "greatest": "2024-03-28 12:00:00",
        },
        "deltaColumns": [{"name": "updated_at"}, {"name": "created"}],
        "rows": 22,  # of the days 1 to 11, twice each: 50 rows over 28 days
        "rowsAre": "counted",
        "earlierRuns": [],
        "writeMode": {
            "name": "replaceWindow",
            "effect": "What this flow brought of this window before is replaced, in one commit; nothing else is "
            "touched. Nothing of it was brought before.",
        },
        "missing": [],
    }
    assert stored_runs(face, flow) == 0
    assert face.get(f"/flows/{flow}").json()["items"][0]["transformations"] == []


def test_without_a_delta_column_the_likeliest_one_is_taken(face: Face) -> None:
    found = estimate(face, face.flow())
    assert (found["deltaColumn"]["name"], found["deltaColumn"]["chosenBy"]) == ("updated_at", "suggestion")
    assert found["rows"] == 22


def test_bounds_are_exact_to_the_second(face: Face) -> None:
    flow, noon = face.flow(), MARCH_1 + 12 * 3600
    rows = [
        estimate(face, flow, deltaColumn=DELTA, windowStartTime=start, windowEndTime=end)["rows"]
        for start, end in ((noon, noon), (noon, noon + 1), (noon + 1, noon + 86400), (noon - 1, noon), (0, noon + 1))
    ]
    assert rows == [0, 2, 0, 0, 2]


@pytest.mark.parametrize(
    ("params", "effect"),
    [
        ({"writeMode": "append"}, "Rows are added to what is there. 1 earlier run brought 7 records"),
        ({"writeMode": "upsert", "primaryKey": ["id"]}, "A row takes the place of the one with the same id;"),
        ({}, "is replaced, in one commit; nothing else is touched. 1 earlier run brought 7 records of windows that"),
    ],
)
def test_earlier_runs_of_the_window_and_what_becomes_of_their_rows(face: Face, params: Json, effect: str) -> None:
    flow = face.flow(targetConnectionIds=[face.target(**params)])
    run = face.run(flow, deltaColumn=DELTA, windowEndTime=MARCH_1 + 60).json()["id"]
    other = face.run(flow, windowStartTime=MARCH_12, windowEndTime=MARCH_12 + 60).json()["id"]
    while claim := face.store.queue.claim("test", lease=60):
        metrics = {"recordSummary": {"outputRecordCount": 7}}
        face.store.queue.finish(claim.run, RunState.SUCCESS, metrics=metrics, activities=[])
    found = estimate(face, flow)
    [earlier] = found["earlierRuns"]
    assert (earlier["id"], earlier["state"], earlier["recordCount"]) == (run, "success", 7)
    assert (earlier["windowStartTime"], earlier["windowEndTime"]) == (MARCH_1, MARCH_1 + 60)
    assert effect in found["writeMode"]["effect"]
    assert (found["deltaColumn"]["chosenBy"], other != run) == ("flow", True)


def test_files_are_counted_with_their_bytes(face: Face) -> None:
    for name, modified in (("a.csv", MARCH_1), ("b.csv", MARCH_12 - 1), ("c.csv", MARCH_12)):
        (face.folder / name).write_text("id,at\n1,2\n")
        os.utime(face.folder / name, (modified, modified))
    found = estimate(face, face.file_flow())
    assert {name: found[name] for name in ("files", "bytes", "filesAre", "oldest", "newest", "missing")} == {
        "files": 2,
        "bytes": 20,
        "filesAre": "counted",
        "oldest": "2024-03-01T00:00:00+00:00",
        "newest": "2024-03-12T00:00:00+00:00",
        "missing": [],
    }
    assert found["windowInWords"].startswith("Files that were last modified at 2024-03-01T00:00:00Z or later")


REFUSED: dict[str, tuple[Json, str]] = {
    "no flow": ({"flowId": None}, "FLOW-1446-400"),
    "unknown flow": ({"flowId": NOBODY}, "FLOW-1430-400"),
    "no end": ({"params": {"windowStartTime": 1}}, "CONNECTOR-1384-400"),
    "reversed": ({"params": {**WINDOW, "windowEndTime": 1}}, "CONNECTOR-1381-400"),
    "no such column": ({"params": {**WINDOW, "deltaColumn": {"name": "nope"}}}, "CONNECTOR-1384-400"),
    "a column without order": ({"params": {**WINDOW, "deltaColumn": {"name": "payload"}}}, "CONNECTOR-1384-400"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_a_run_would_be_refused_for(face: Face, case: str) -> None:
    change, code = REFUSED[case]
    body = {"flowId": face.flow(), "params": WINDOW, **change}
    refused(face.post("/runs:estimate", body), 400, code)


def test_what_the_source_does_not_tell_is_named(face: Face) -> None:
    gone = face.flow(sourceConnectionIds=[face.source(face.connection(), "orders")])
    path = face.folder / "shop.db"
    path.rename(face.folder / "away.db")
    try:
        found = estimate(face, gone, deltaColumn=DELTA)
    finally:
        (face.folder / "away.db").rename(path)
    assert [each["what"] for each in found["missing"]] == ["deltaColumns", "deltaColumn", "rows"]
    assert "There is no file" in found["missing"][0]["reason"]
    assert found["writeMode"]["name"] == "replaceWindow"


def test_a_source_that_is_silent_holds_nothing_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    flow, silent = face.flow(), threading.Event()
    monkeypatch.setattr(estimates, "_SECONDS", 0.5)
    monkeypatch.setattr(SqliteSource, "survey", lambda *_: iter(silent.wait, True))
    try:
        found = estimate(face, flow, deltaColumn=DELTA)
    finally:
        silent.set()
    assert found["missing"][-1] == {"what": "rows", "reason": "The source did not tell within 0.5 seconds."}
    assert "rows" not in found


@pytest.fixture
def slow(database: str) -> str:
    """A PostgreSQL table of 1,000 rows, of which a view takes a second for each ten."""
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE quick AS SELECT n AS id, timestamptz '2024-03-01 00:00Z' + n * interval '1 hour' AS at "
            "FROM generate_series(0, 999) n"
        )
        connection.execute("ANALYZE quick")
        connection.execute("CREATE VIEW slow AS SELECT id, at FROM quick, LATERAL (SELECT pg_sleep(0.1 + 0 * id)) p")
    return database


def test_postgresql_counts_what_it_can_in_time_and_guesses_the_rest(
    face: Face, slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("headgate.sources.sql.postgres._SURVEY_SECONDS", 1)
    auth = {"specName": "ConnectionString", "params": {"connectionString": slow}}
    spec = face.get("/connectionSpecs", property=f"id=={POSTGRESQL}").json()["items"][0]
    auth["specName"] = next(
        each["name"] for each in spec["authSpec"] if "connectionString" in each["spec"]["properties"]
    )
    connection = face.made("/connections", {"name": "pg", "connectionSpec": {"id": POSTGRESQL}, "auth": auth})

    def found(table: str) -> Json:
        body = {"name": table, "connectionSpec": {"id": POSTGRESQL}, "baseConnectionId": connection}
        source = face.made("/sourceConnections", {**body, "params": {"tableName": table}})
        target = face.target(face.dataset(f"pg {table}"))
        flow = face.flow(sourceConnectionIds=[source], targetConnectionIds=[target])
        return estimate(face, flow, deltaColumn={"name": "at"})

    quick, slow_ = found("quick"), found("slow")
    assert (quick["rows"], quick["rowsAre"], quick["missing"]) == (11 * 24, "counted", [])
    assert quick["deltaColumn"]["least"] == "2024-03-01T00:00:00+00:00"
    assert quick["deltaColumn"]["greatest"] == "2024-04-11T15:00:00+00:00"
    assert slow_["rowsAre"] == "estimated"
    assert 100 < slow_["rows"] < 1000
    assert [each["what"] for each in slow_["missing"]] == ["deltaColumn"]


def test_text_and_epochs_are_counted_too(face: Face) -> None:
    with sqlite3.connect(face.folder / "shop.db") as shop:
        shop.execute("CREATE TABLE IF NOT EXISTS texts (at TEXT, epoch INTEGER)")
        shop.execute("DELETE FROM texts")
        shop.executemany(
            "INSERT INTO texts VALUES (?, ?)",
            [(f"2024-03-{n + 1:02}T00:00:00Z", MARCH_1 + n * 86400) for n in range(20)],
        )
    shop.close()
    for delta in ({"name": "at"}, {"name": "epoch", "dateFormat": "epoch_s"}):
        flow = face.flow(
            sourceConnectionIds=[face.source(face.connection(), "texts")],
            targetConnectionIds=[face.target(face.dataset(f"texts {delta['name']}"))],
        )
        found = estimate(face, flow, deltaColumn=delta)
        assert (found["rows"], found["rowsAre"], found["missing"]) == (11, "counted", [])
    assert face.get(f"{CATALOG}/dataSets").status_code == 200
