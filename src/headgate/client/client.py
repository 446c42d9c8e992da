"""One class over HTTP."""

import json
import time
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import httpx

from headgate.client.times import parse_time
from headgate.errors import BadTime, HeadgateError
from headgate.model.addresses import CATALOG, FLOW_SERVICE
from headgate.model.runs import Json

__all__ = ["Client", "RequestFailed", "RunFailed", "WaitTimedOut"]

_FEW = 5  # flows of one name that an error names
_FINAL = frozenset({"success", "failed", "cancelled", "partialSuccess"})


class RequestFailed(HeadgateError):
    """The service refused the request. `http_status` and `error_code` are its answer's, 0 when none came."""

    def __init__(self, detail: str, *, http_status: int, error_code: str) -> None:
        super().__init__(detail)
        self.http_status = http_status
        self.error_code = error_code


class RunFailed(HeadgateError):
    """A run that was waited for did not end in success. `run` is the whole run object."""

    def __init__(self, run: Json) -> None:
        self.run = run
        summary = run["metrics"]["statusSummary"]
        reasons = "; ".join(f"{error['code']}: {error['message']}" for error in summary.get("errors", []))
        super().__init__(f"The run {run['id']} ended as {summary['status']}. {reasons}".strip())


class WaitTimedOut(HeadgateError):
    """The run was still going when the time to wait was over. It goes on."""


class Client:
    """A caller of one Headgate service, in one sandbox of one organisation."""

    def __init__(
        self,
        base_url: str,
        *,
        token: str,
        api_key: str,
        org: str,
        sandbox: str = "prod",
        timeout: float = 60.0,
    ) -> None:
        """Nothing is sent yet. `timeout` is in seconds and holds for each request."""
        self._http = httpx.Client(
            base_url=base_url,
            timeout=timeout,
            headers={
                "Authorization": f"Bearer {token}",
                "x-api-key": api_key,
                "x-gw-ims-org-id": org,
                "x-sandbox-name": sandbox,
            },
        )

    @classmethod
    def of(cls, credentials: Json) -> Self:
        """The client for what `headgate credentials --json` prints."""
        return cls(
            credentials["baseUrl"],
            token=credentials["accessToken"],
            api_key=credentials["apiKey"],
            org=credentials["orgId"],
            sandbox=credentials["sandbox"],
        )

    @classmethod
    def local(cls, data: str | Path) -> Self:
        """The client of the local organisation in a data folder of this machine."""
        from headgate.service.local import credentials

        return cls.of(credentials(Path(data)))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def request(self, method: str, path: str, *, body: Json | None = None, **params: Any) -> Any:
        """One call; `path` begins with a slash. The answer's JSON, None when it has no body.

        Raises RequestFailed.
        """
        try:
            answer = self._http.request(method, path, json=body, params=params or None)
        except httpx.TransportError as error:
            raise RequestFailed(
                f"{self._http.base_url} does not answer ({error}). Is `headgate serve` running?",
                http_status=0,
                error_code="",
            ) from error
        if answer.is_error:
            raise _refusal(answer)
        return answer.json() if answer.content else None

    def create(self, collection: str, body: Json) -> str:
        """Create a connection, source or target connection, or flow in its collection; its id."""
        return str(self.request("POST", f"{FLOW_SERVICE}/{collection}", body=body)["id"])

    def create_dataset(self, name: str) -> str:
        """Create a dataset; its id."""
        made = self.request("POST", f"{CATALOG}/dataSets", body={"name": name})
        return str(made[0]).rsplit("/", 1)[1]

    def list(self, collection: str, **params: Any) -> Iterator[Json]:
        """Everything in a collection of the flow service, page by page."""
        path = f"{FLOW_SERVICE}/{collection}"
        while True:
            page = self.request("GET", path, **params)
            yield from page["items"]
            following = page["_links"].get("next")
            if following is None:
                return
            path, _, token = f"{FLOW_SERVICE}{following['href']}".partition("?continuationToken=")
            params = {"continuationToken": token}

    def flow(self, name_or_id: str) -> Json:
        """The flow with this id or, if only one has it, this name. Raises RequestFailed."""
        for field in ("id", "name"):
            found = list(islice(self.list("flows", property=f'{field}=="{name_or_id}"', limit=_FEW), _FEW))
            if len(found) == 1:
                return found[0]
            if found:
                ids = ", ".join(flow["id"] for flow in found)
                raise RequestFailed(
                    f"Several flows are called {name_or_id!r}; name one by its id. The newest are {ids}.",
                    http_status=400,
                    error_code="",
                )
        raise RequestFailed(f"There is no flow {name_or_id!r} in this sandbox.", http_status=404, error_code="")

    def start_run(self, flow: str, *, window: tuple[str | int, str | int], delta_column: str | None = None) -> Json:
        """Create a run of `flow` (name or id) over the half-open window; the whole run object.

        The ends are texts as `parse_time()` takes them, or milliseconds.
        """
        start, end = (parse_time(end) if isinstance(end, str) else end for end in window)
        params: Json = {"windowStartTime": start, "windowEndTime": end}
        if start % 1000 == end % 1000 == 0:
            params = {"windowStartTime": start // 1000, "windowEndTime": end // 1000}
        elif start < 10**11:  # the service reads so small a number as seconds
            raise BadTime("A window that begins before 1973-03-03 must begin and end on whole seconds.")
        if delta_column is not None:
            params["deltaColumn"] = {"name": delta_column}
        body = {"flowId": self.flow(flow)["id"], "params": params}
        run: Json = self.request("POST", f"{FLOW_SERVICE}/runs", body=body)
        return run

    def run(self, run_id: str) -> Json:
        """The whole run object."""
        run: Json = self.request("GET", f"{FLOW_SERVICE}/runs/{_segment(run_id)}")["items"][0]
        return run

    def cancel(self, run_id: str) -> Json:
        """Ask for a run to be cancelled; the run object."""
        run: Json = self.request("POST", f"{FLOW_SERVICE}/runs/{_segment(run_id)}/action", op="cancel")
        return run

    def wait(
        self, run_id: str, *, timeout: float | None = None, on_progress: Callable[[Json], None] | None = None
    ) -> Json:
        """Wait until the run has ended, at most `timeout` seconds; the run object.

        `on_progress` gets every run object that is read meanwhile. Raises RunFailed, WaitTimedOut.
        """
        end = None if timeout is None else time.monotonic() + timeout
        pause = 0.05
        while True:
            run = self.run(run_id)
            if on_progress is not None:
                on_progress(run)
            status = run["metrics"]["statusSummary"]["status"]
            if status in _FINAL:
                if status in ("failed", "cancelled"):
                    raise RunFailed(run)
                return run
            if end is not None and time.monotonic() + pause > end:
                raise WaitTimedOut(f"The run {run_id} was still {status} after {timeout:g} s. It goes on.")
            time.sleep(pause)
            pause = min(pause * 1.5, 1.0)


def _segment(id_: str) -> str:
    """`id_` as one segment of a path, whatever it holds."""
    if not id_.strip("."):
        raise RequestFailed(f"{id_!r} is not the id of a run.", http_status=404, error_code="")
    return quote(id_, safe="")


def _refusal(answer: httpx.Response) -> RequestFailed:
    try:
        body = answer.json()
    except json.JSONDecodeError:
        body = {}
    detail = body.get("errorMessage") or body.get("message") or body.get("detail") or answer.text[:200]
    code = body.get("error_code") or str(body.get("type", "")).rsplit("/", 1)[-1]
    return RequestFailed(str(detail), http_status=answer.status_code, error_code=code)
