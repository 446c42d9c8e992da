"""What handlers are given: the service, the caller and the body."""

from typing import Annotated, Any

from fastapi import Depends, Request

from headgate.api.bodies import read_object
from headgate.model.scope import Caller
from headgate.service import Service
from headgate.service.paging import known_parameters

__all__ = ["Bare", "Body", "Calling", "Serving", "if_match", "parameters"]


async def _service(request: Request) -> Service:  # async, like all that does not block: it costs no thread
    service: Service = request.app.state.service
    return service


def _caller(request: Request, service: Annotated[Service, Depends(_service)]) -> Caller:
    return service.authenticate(request.headers)


async def _body(request: Request, _caller: Annotated[Caller, Depends(_caller)]) -> dict[str, Any]:
    return await read_object(request)  # only after the caller was let in


def parameters(request: Request) -> list[tuple[str, str]]:
    """The query parameters, in order."""
    return request.query_params.multi_items()


def if_match(request: Request) -> str | None:
    """The version the request demands, as stored; None for any. Clients quote it or not."""
    text = request.headers.get("if-match") or request.query_params.get("if-match")
    if not text or text == "*":
        return None
    return '"' + text.removeprefix("W/").strip('"') + '"'


async def _no_parameters(request: Request) -> None:
    known_parameters(parameters(request), ())


Bare = Depends(_no_parameters)  # for routes that take no query parameters
Serving = Annotated[Service, Depends(_service)]
Calling = Annotated[Caller, Depends(_caller)]
Body = Annotated[dict[str, Any], Depends(_body)]
