"""What a type checker sees of the clients: the checker of CI reads this file, and the assertions hold when it runs."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any, assert_type

import httpx

from headgate import AsyncClient, Client, Run
from headgate.client.shapes import Connection, Flow, Preview, RunState
from headgate.client.steps import Async, Sync

RUN = {"id": "r", "flowId": "f", "params": {}, "metrics": {"statusSummary": {"status": "success"}}}


def service(request: httpx.Request) -> httpx.Response:
    """Answers everything with a run: alone, listed and counted."""
    return httpx.Response(200, json={**RUN, "items": [RUN], "_links": {}, "count": 1})


KNOWN: dict[str, Any] = {"token": "t", "api_key": "k", "org": "o", "transport": httpx.MockTransport(service)}


def test_the_client_has_types() -> None:
    with Client("http://headgate.test", **KNOWN) as client:
        assert_type(client.connections.get("c"), Connection)
        assert_type(client.connections.preview("c", table="t"), Preview)
        flows = client.flows.list("name==f", limit=1)
        assert_type(flows, Iterator[Flow])
        run = client.runs.start(next(flows), window=("-7d", "today")).wait(on_progress=lambda run: run.refresh())
        assert_type(run, Run[Sync])
        assert_type(run.state, RunState)
        assert_type([run.id for run in client.runs.list()], list[str])
        assert run.state == "success"


def test_the_asynchronous_client_has_types() -> None:
    async def asked() -> None:
        async with AsyncClient("http://headgate.test", **KNOWN) as client:
            assert_type(await client.connections.get("c"), Connection)
            flows = client.flows.list()
            assert_type(flows, AsyncIterator[Flow])
            run = await client.runs.start(await anext(flows))
            assert_type(run, Run[Async])
            assert_type(await run.wait(), Run[Async])
            assert_type([run.id async for run in client.runs.list()], list[str])
            assert_type(await asyncio.create_task(client.runs.count()), int)

    asyncio.run(asked())
