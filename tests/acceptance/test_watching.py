"""Watching a run whose worker is another process, and what a service that stops does to those who watch."""

import itertools
import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from headgate.client import Client, RunFailed
from headgate.model.addresses import FLOW_SERVICE
from tests.acceptance.processes import Deployment, Json, flow
from tests.conformance.kits import unused_port
from tests.integration.sse import told


def headers(known: Json) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {known['accessToken']}",
        "x-api-key": known["apiKey"],
        "x-gw-ims-org-id": known["orgId"],
    }


def test_a_run_is_watched_to_its_end_and_a_service_stops_under_a_watch(
    deployment: Deployment, events: dict[str, str]
) -> None:
    window, port = ("2024-01-01", "2024-01-02"), str(unused_port())
    pool = ThreadPoolExecutor()
    with deployment.service("--port", port) as service:
        known = deployment.credentials()
        with Client.of(known) as client:
            made = flow(client, "sqlite", events)
            run = client.runs.start(made, window=window, delta_column="at").id
            later = client.runs.start(made, window=(0, 1), start_time=4_000_000_000).id
        with httpx.Client(base_url=f"{known['baseUrl']}{FLOW_SERVICE}", headers=headers(known), timeout=30) as http:
            with http.stream("GET", f"/runs/{run}/events") as answer:
                heard = list(told(answer))
            assert heard[-1].data == {"id": run, "state": "success"}
            texts = [event.data["text"] for event in heard if event.name == "log"]
            assert texts[0].startswith("Made by ")
            assert texts[1].startswith("Attempt 1 begins on ")
            assert texts[2] == "Planned: 1 split."
            assert texts[3] == "1,000 records are staged; the commit begins."
            assert texts[4].startswith("Done: 1,000 records landed in snapshot ")
            details = http.get(f"/runs/{run}/details").json()
            assert [line["text"] for line in details["log"]] == texts
            assert details["attempts"] == [{"attempt": 1, "state": "success"}]
            assert details["window"] == {"windowStartTime": 1704067200, "windowEndTime": 1704153600}
            assert (details["deltaColumn"], details["writeMode"]) == ({"name": "at"}, "replaceWindow")
            assert details["snapshotId"] in texts[4]
            client = Client.of(known)
            states: list[str] = []
            waited = pool.submit(client.runs.get(later).wait, on_progress=lambda run: states.append(run.state))
            with http.stream("GET", f"/runs/{later}/events") as answer:
                waiting = told(answer)
                assert [event.name for event in itertools.islice(waiting, 2)] == ["log", "run"]
                service.send_signal(signal.SIGTERM)
                assert [*waiting] == []  # the answer is whole: httpx complains of one that is broken off
        assert service.wait(20) == 0
    with pool, client, deployment.service("--no-worker", "--port", port):  # whoever waits does not see that it was away
        client.runs.cancel(later)
        with pytest.raises(RunFailed, match="cancelled"):
            waited.result(60)
    assert states == ["scheduled", "cancelled"]
