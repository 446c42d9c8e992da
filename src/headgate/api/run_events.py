"""Watching a run: server-sent events, as long as it goes on."""

import json
from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Header, Request
from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from headgate.api.json_schema import TEXT, Schema, object_of, parameter
from headgate.api.requests import Calling, Serving, needs, parameters
from headgate.model.permissions import Permission
from headgate.service.paging import known_parameters
from headgate.service.run_events import Event, Watch

__all__ = ["EventStream", "router"]

router = APIRouter(tags=["runs"])
_AFTER = {"parameters": [parameter("after", "The id of an event: what follows it is sent. As Last-Event-ID.")]}
_STREAM: dict[int | str, Schema] = {
    200: {
        "description": "Events run (the whole run), progress (what changed of it), log (a line) and done.",
        "content": {"text/event-stream": {"schema": object_of("", id=TEXT, event=TEXT, data=TEXT)}},
    },
    204: {"description": "The run has ended, and the event done was the last one seen. Clients stop here."},
}


class EventStream(StreamingResponse):
    """The events of a watch, which is closed when they end or the client is gone."""

    def __init__(self, watch: Watch, still_may: Callable[[], bool]) -> None:
        self._watch = watch
        headers = {"X-Accel-Buffering": "no"}  # proxies pass each event on at once
        super().__init__(_written(watch, still_may), media_type="text/event-stream", headers=headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send them."""
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._watch.close()


@router.get(
    "/runs/{id}/events",
    dependencies=[needs(Permission.VIEW_SOURCES)],
    responses=_STREAM,
    openapi_extra=_AFTER,
    response_class=EventStream,
    status_code=200,
)
def watch_run(
    id: str,
    request: Request,
    service: Serving,
    caller: Calling,
    last_event_id: Annotated[str | None, Header()] = None,
) -> Response:
    """What happens to a run, as it happens, as server-sent events until it has ended."""
    _, single = known_parameters(parameters(request), ("after",))
    watch = service.run_events.watch(caller, id, after=last_event_id or single.get("after"))
    if watch.told_end:
        watch.close()
        return Response(status_code=204)
    return EventStream(watch, partial(service.still_may, request.headers, Permission.VIEW_SOURCES))


async def _written(watch: Watch, still_may: Callable[[], bool]) -> AsyncIterator[str]:
    yield "retry: 1000\n\n"
    async for event in watch.events(still_may):
        yield ": nothing new\n\n" if event is None else _text(event)


def _text(event: Event) -> str:
    return f"id: {event.id}\nevent: {event.name}\ndata: {json.dumps(event.data, separators=(',', ':'))}\n\n"
