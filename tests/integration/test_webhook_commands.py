"""`headgate webhooks`, beside a service."""

import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner

from headgate.cli.webhooks import webhooks
from headgate.client import NotFound, RequestFailed
from headgate.service.local import remember_address
from tests.integration.face import serving
from tests.receiving import receiving


def test_the_commands(tmp_path: Path) -> None:
    with receiving() as receiver, serving(tmp_path) as face:
        remember_address(face.settings, str(face.http.base_url))

        def command(*arguments: str) -> Any:
            return CliRunner().invoke(webhooks, [*arguments, "--data", str(face.settings.data)])

        assert "secret    whsec_" in command("add", receiver.address, "--event", "start").output
        [webhook] = json.loads(command("list", "--output", "json").output)
        assert (webhook["name"], webhook["eventTypes"]) == ("127.0.0.1", ["sources_flow_run_start"])
        assert receiver.address in command("list").output
        run_id = face.run(face.flow(), deltaColumn={"name": "updated_at"}).json()["id"]
        face.store.queue.claim("test", lease=60)
        [delivery] = json.loads(command("deliveries", webhook["id"], "--output", "json").output)
        shown = command("deliveries", webhook["id"]).output
        assert all(text in shown for text in (delivery["eventId"], run_id, "pending"))
        assert isinstance(command("deliveries", "none").exception, NotFound)
        assert "is gone" in command("remove", webhook["id"]).output
        assert isinstance(command("remove", webhook["id"]).exception, RequestFailed)
