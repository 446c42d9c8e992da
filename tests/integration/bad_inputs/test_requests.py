"""The rows of the table that are requests to one service, with both databases of metadata."""

import pytest

from tests.integration.bad_inputs.cases import Procedure, Request, World, held
from tests.integration.bad_inputs.table import TABLE


@pytest.mark.parametrize("case", [case for case in TABLE if isinstance(case, Request)], ids=str)
def test_request(world: World, case: Request) -> None:
    method, _, address = case.request.partition(" ")
    path, _, query = world.fill(address).partition("?")
    headers = {**world.face.headers}
    if case.token is not None:
        headers["Authorization"] = f"Bearer {case.token(world.face)}"
    for name, value in world.fill(dict(case.headers)).items():
        headers = {known: text for known, text in headers.items() if known.lower() != name}
        if value is not None:
            headers[name] = value
    content = case.body if isinstance(case.body, bytes) else None
    body = None if content is not None else world.fill(case.body)
    parameters = [part.partition("=")[::2] for part in query.split("&") if part]
    answer = world.face.http.request(
        method,
        path if path.startswith("/data") else f"/data/foundation/flowservice{path}",
        params=parameters or None,
        headers=headers,
        content=content,
        json=body,
    )
    held(answer, case.expect)


@pytest.mark.parametrize("case", [case for case in TABLE if isinstance(case, Procedure)], ids=str)
def test_procedure(world: World, case: Procedure) -> None:
    for answer, expect in zip(case.play(world), case.expect.split(", "), strict=True):
        held(answer, expect)
