"""What goes wrong, as a caller of the service sees it.

HeadgateError
├── RequestFailed        the service refused; `status`, `code` and `request_id` are its answer's
│   ├── Invalid          400 and its like: the request itself is wrong
│   ├── NotAllowed       401, 403
│   ├── NotFound         404
│   ├── Conflict         409, 412: what was to be changed has changed, or is in use
│   └── Unavailable      429, 502, 503, 504, and 0 when no answer came: later it may work
├── RunFailed            a run that was waited for failed or was cancelled
└── WaitTimedOut         it had not ended when the time to wait was over
"""

import json
from typing import TYPE_CHECKING

from headgate.errors import HeadgateError

if TYPE_CHECKING:
    import httpx

    from headgate.client.shapes import RunObject, RunProblem

__all__ = [
    "Conflict",
    "Invalid",
    "NotAllowed",
    "NotFound",
    "RequestFailed",
    "RunFailed",
    "Unavailable",
    "WaitTimedOut",
    "refusal",
]


class RequestFailed(HeadgateError):
    """The service refused the request.

    `detail` is its sentence; `status` the HTTP status, 0 when no answer came; `code` the stable code, empty where
    the service has none; `request_id` finds the request in the service's log, empty when no answer came.
    """

    def __init__(
        self, detail: str, *, status: int = 0, code: str = "", request_id: str = "", retry_after: int = 0
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.request_id = request_id
        self.retry_after = retry_after  # seconds the service asks to wait, 0 when it does not say


class Invalid(RequestFailed):
    """The request itself is wrong, and will be refused again."""


class NotAllowed(RequestFailed):
    """The token is no good (401), or does not allow this (403)."""


class NotFound(RequestFailed):
    """There is nothing of this id or name in the sandbox."""


class Conflict(RequestFailed):
    """What was to be changed has changed meanwhile, or cannot be changed as it stands."""


class Unavailable(RequestFailed):
    """The service does not answer, or cannot just now."""


_KINDS: dict[int, type[RequestFailed]] = {
    **dict.fromkeys((401, 403), NotAllowed),
    404: NotFound,
    **dict.fromkeys((409, 412), Conflict),
    **dict.fromkeys((429, 502, 503, 504), Unavailable),
}


class RunFailed(HeadgateError):
    """A run that was waited for failed or was cancelled. `run` is the whole run object, `errors` its reasons."""

    def __init__(self, run: "RunObject") -> None:
        summary = run["metrics"]["statusSummary"]
        self.run = run
        self.errors: list[RunProblem] = summary.get("errors", [])
        reasons = "; ".join(f"{error['code']}: {error['message']}" for error in self.errors)
        super().__init__(f"The run {run['id']} ended as {summary['status']}. {reasons}".strip())
        if self.errors:
            self.code = self.errors[0]["code"]


class WaitTimedOut(HeadgateError):
    """The run was still going when the time to wait was over. It goes on. `run` is as it was last read."""

    def __init__(self, run: "RunObject", seconds: float) -> None:
        self.run = run
        state = run["metrics"]["statusSummary"]["status"]
        super().__init__(f"The run {run['id']} was still {state} after {seconds:g} s. It goes on.")


def refusal(answer: "httpx.Response") -> RequestFailed:
    """The error that an answer stands for, whichever of the services' envelopes it comes in."""
    try:
        body = answer.json()
    except (json.JSONDecodeError, UnicodeDecodeError):
        body = {}
    if not isinstance(body, dict):
        body = {}
    spoken = ("errorMessage", "message", "detail", "error_description", "title")
    detail = next((body[name] for name in spoken if body.get(name)), answer.text[:200])
    type_ = str(body.get("type", ""))
    code = body.get("error_code") or body.get("error") or (type_.rpartition("/")[2] if "/problem/" not in type_ else "")
    status = answer.status_code
    kind = _KINDS.get(status, Invalid if 400 <= status < 500 else RequestFailed)
    return kind(
        str(detail) or f"The service answered {answer.status_code}.",
        status=status,
        code=str(code),
        request_id=answer.headers.get("x-request-id", ""),
        retry_after=_seconds(answer.headers.get("retry-after", "")),
    )


def _seconds(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
