"""What surrounds the console's pages, when one of them breaks."""

import asyncio
from typing import Any

import pytest
from starlette.types import Message, Receive, Scope, Send

from headgate.console.policy import Policy


class Broken(Exception):
    """An error that nobody has foreseen."""


def answered(status: int, *, whole: bool) -> list[Message]:
    """What is sent of an answer whose app breaks behind it."""
    sent: list[Message] = []

    async def app(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": b"", "more_body": not whole})
        raise Broken

    async def receive() -> Message:
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        sent.append(message)

    scope: dict[str, Any] = {"type": "http", "path": "/flows/", "headers": []}
    asyncio.run(Policy(app)(scope, receive, send))
    return sent


def test_what_an_error_page_has_answered_goes_no_further() -> None:
    start, _ = answered(500, whole=True)
    assert b"content-security-policy" in {name for name, _ in start["headers"]}


@pytest.mark.parametrize(("status", "whole"), [(200, True), (200, False), (500, False)])
def test_what_no_error_page_has_answered_is_raised(status: int, whole: bool) -> None:
    with pytest.raises(Broken):
        answered(status, whole=whole)
