"""The two clients: what one answers, the other is awaited for."""

import os
from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any, Generic, Self

import httpx

from headgate.client import shapes
from headgate.client.asking import D, Group, call
from headgate.client.errors import refusal
from headgate.client.groups import (
    Connections,
    ConnectionSpecs,
    Flows,
    FlowSpecs,
    SourceConnections,
    TargetConnections,
    Webhooks,
)
from headgate.client.lake import Batches, Datasets, MappingSets, Sandboxes, Schemas
from headgate.client.organisation import Audit, Clients, Grants, People, Roles, Workers
from headgate.client.runs import Runs
from headgate.client.steps import Async, OnAnswer, Steps, Sync
from headgate.errors import BadSetting
from headgate.model.addresses import HEADGATE

__all__ = ["AsyncClient", "Client"]

_VARIABLES = ("URL", "ORG", "SANDBOX", "TOKEN", "API_KEY", "CLIENT_ID", "CLIENT_SECRET")


class _Client(Group[D], Generic[D]):
    """A caller of one Headgate service, in one sandbox of one organisation."""

    _driver_class: type[D]

    def __init__(
        self,
        base_url: str,
        *,
        api_key: str,
        org: str,
        token: str | None = None,
        client_secret: str | None = None,
        sandbox: str = "prod",
        timeout: float = 60.0,
        retries: int = 3,
        on_answer: OnAnswer | None = None,
        transport: Any = None,
    ) -> None:
        """A caller with a `token`, or with the secret of the client `api_key`, which gets its tokens by itself.

        Nothing is sent yet. `timeout` is in seconds and holds for each request; `retries` is how often one that
        may be is sent again; `on_answer` is called with every answer, refusals too. `transport` is httpx's, for tests.
        """
        if (token is None) is (client_secret is None):
            raise TypeError("Give either a token or a client_secret.")
        headers = {"x-api-key": api_key, "x-gw-ims-org-id": org, "x-sandbox-name": sandbox}
        auth = None
        if token is not None:
            headers["Authorization"] = f"Bearer {token}"
        else:
            auth = _Tokens(httpx.URL(base_url).join("/ims/token/v3"), api_key, str(client_secret))
        options = {"base_url": base_url, "timeout": timeout, "headers": headers, "auth": auth, "transport": transport}
        super().__init__(self._driver_class(retries=retries, on_answer=on_answer, **options))
        driver = self._driver
        self.connections = Connections(driver)
        self.source_connections = SourceConnections(driver)
        self.target_connections = TargetConnections(driver)
        self.flows = Flows(driver)
        self.runs = Runs(driver)
        self.connection_specs = ConnectionSpecs(driver)
        self.flow_specs = FlowSpecs(driver)
        self.datasets = Datasets(driver)
        self.batches = Batches(driver)
        self.schemas = Schemas(driver)
        self.mapping_sets = MappingSets(driver)
        self.sandboxes = Sandboxes(driver)
        self.webhooks = Webhooks(driver)
        self.workers = Workers(driver)
        self.people = People(driver)
        self.clients = Clients(driver)
        self.roles = Roles(driver)
        self.grants = Grants(driver)
        self.audit = Audit(driver)

    @classmethod
    def of(cls, credentials: Mapping[str, Any], **options: Any) -> Self:
        """The client for what `headgate credentials --json` prints. `options` are those of the class."""
        return cls(
            credentials["baseUrl"],
            token=credentials["accessToken"],
            api_key=credentials["apiKey"],
            org=credentials["orgId"],
            **{"sandbox": credentials["sandbox"], **options},
        )

    @classmethod
    def local(cls, data: str | Path = "headgate-data", **options: Any) -> Self:
        """The client of the local organisation in a data folder of this machine."""
        from headgate.service.local import credentials

        return cls.of(credentials(Path(data)), **options)

    @classmethod
    def from_environment(cls, **options: Any) -> Self:
        """The client that the environment names, as it does for the command line.

        `HEADGATE_URL`, `HEADGATE_ORG`, `HEADGATE_SANDBOX` (else `prod`), and either `HEADGATE_TOKEN` with
        `HEADGATE_API_KEY` or `HEADGATE_CLIENT_ID` with `HEADGATE_CLIENT_SECRET`. Raises BadSetting for what is missing.
        """
        named = {name: os.environ.get(f"HEADGATE_{name}", "") for name in _VARIABLES}
        by_token = bool(named["TOKEN"])
        key, proof = ("API_KEY", "TOKEN") if by_token else ("CLIENT_ID", "CLIENT_SECRET")
        if missing := [f"HEADGATE_{name}" for name in ("URL", "ORG", key, proof) if not named[name]]:
            raise BadSetting(f"The environment names no service: {' and '.join(missing)} must be set.")
        secret = {"token" if by_token else "client_secret": named[proof]}
        known = {"api_key": named[key], "org": named["ORG"], "sandbox": named["SANDBOX"] or "prod", **secret}
        return cls(named["URL"], **{**known, **options})

    @call
    def request(self, method: str, path: str, /, *, body: Any = None, headers: Any = None, **params: Any) -> Steps[Any]:
        """One call of any address; `path` begins with a slash. The answer's JSON, None when it has no body.

        `params` are those of the query. Raises RequestFailed.
        """
        return (yield from self._ask(method, path, body=body, params=params, headers=headers))

    @call
    def read(self, path: str, /, *, headers: Any = None, **params: Any) -> Steps[bytes]:
        """What a GET of any address answers, as it is: of files, whose answers are no JSON. Raises RequestFailed."""
        return (yield from self._send("GET", path, params=params, headers=headers)).content

    @call
    def query(self, sql: str) -> Steps[shapes.Rows]:
        """The rows of one SELECT over the sandbox's datasets, each a table under its name; at most 1,000 of them."""
        return (yield from self._ask("POST", f"{HEADGATE}/queries", body={"sql": sql}))

    @call
    def queue(self) -> Steps[shapes.Queue]:
        """How many runs of the sandbox wait and are under way, in all and by flow."""
        return (yield from self._ask("GET", f"{HEADGATE}/queue"))

    @call
    def activity(self) -> Steps[shapes.Activity]:
        """The runs of the last 24 hours by hour and state, and which flows their schedules start next."""
        return (yield from self._ask("GET", f"{HEADGATE}/activity"))

    @call
    def organisations(self) -> Steps[Sequence[shapes.Organisation]]:
        """Those in which the caller may act."""
        return (yield from self._ask("GET", f"{HEADGATE}/organisations"))["items"]


class Client(_Client[Sync]):
    """A caller of one Headgate service, in one sandbox of one organisation; may be shared by threads."""

    _driver_class = Sync

    def close(self) -> None:
        """Close the connections."""
        self._driver.http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


class AsyncClient(_Client[Async]):
    """The same for asyncio: methods are awaited, listings iterated by `async for`."""

    _driver_class = Async

    async def aclose(self) -> None:
        """Close the connections."""
        await self._driver.http.aclose()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *error: object) -> None:
        await self.aclose()


class _Tokens(httpx.Auth):
    """Signs requests with a token for a client's secret, and gets another when that has ended."""

    requires_response_body = True

    def __init__(self, address: httpx.URL, client_id: str, secret: str) -> None:
        self._address = address
        self._form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
        self._token: str | None = None

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Send the request with the token; one that is not let in (401) has done nothing, and is sent again."""
        used = self._token
        if used is not None:
            request.headers["Authorization"] = f"Bearer {used}"
            answer = yield request
            if answer.status_code != 401:
                return
        if self._token == used:  # else another thread has got one meanwhile
            given = yield httpx.Request("POST", self._address, data=self._form)
            if not given.is_success:
                raise refusal(given)
            self._token = str(given.json()["access_token"])
        request.headers["Authorization"] = f"Bearer {self._token}"
        yield request
