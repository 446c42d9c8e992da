"""Webhooks of a real service: what was told is told again after a crash, and nothing is lost over a restart."""

import json
from typing import Any

import sqlalchemy as sa

from headgate.client import Client
from tests.acceptance.processes import Deployment, flow, state, until
from tests.receiving import receiving, verified

DAY = ("2024-01-01", "2024-01-02")
Json = dict[str, Any]


def test_an_event_outlives_the_worker_that_dies_over_it(deployment: Deployment, events: dict[str, str]) -> None:
    with receiving() as receiver:
        with deployment.service("--no-worker"), Client.of(deployment.credentials()) as client:
            added: Json = json.loads(deployment.cli("webhooks", "add", receiver.address, "--output", "json"))
            run = client.runs.start(flow(client, "sqlite", events), window=DAY, delta_column="at").data
            dying = {"HEADGATE_FAULTS": "webhook.after_send:kill", "HEADGATE_FAULTS_MEANT": "yes"}
            deployment.environment |= dying
            with deployment.process("worker") as worker:
                worker.wait(timeout=60)
            for name in dying:
                del deployment.environment[name]
            assert state(client, run) == "success"
            [first] = receiver.posts
        claims_run_out(deployment)
        with deployment.service(), Client.of(deployment.credentials()) as client:
            receiver.wait(2)
            path = f"/data/foundation/flowservice/webhooks/{added['id']}/deliveries"
            until(lambda: client.request("GET", path)["items"][0]["state"] == "delivered")
        again = receiver.posts[1]
        assert again[1] == first[1]
        assert again[0]["webhook-id"] == first[0]["webhook-id"]
        assert all(verified(added["secret"], *post) for post in receiver.posts)
        [event] = {post[1]: json.loads(post[1]) for post in receiver.posts}.values()
        assert event["event"]["id"] == run["id"]
        assert event["event"]["metrics"]["recordSummary"]["outputRecordCount"] == 1000


def claims_run_out(deployment: Deployment) -> None:
    """End the claims of a deployment that stands still, which is as if their time had passed."""
    engine = sa.create_engine(deployment.metadata)
    with engine.begin() as connection:
        assert connection.execute(sa.text("UPDATE deliveries SET claimed_until = 0")).rowcount == 1
    engine.dispose()
