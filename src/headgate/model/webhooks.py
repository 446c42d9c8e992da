"""Webhooks: what is announced of a run, to whom, and how its receiver knows that it comes from here.

A delivery is one event on its way to one webhook. It is signed as Standard Webhooks says: the text
`<id>.<seconds>.<body>`, by HMAC-SHA256 with the webhook's secret.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from headgate.model import wire
from headgate.model.runs import Json, Run, RunState
from headgate.model.scope import Scope

__all__ = ["Delivery", "DeliveryState", "EventCode", "codes_of", "event", "is_secret", "new_secret", "signed"]

_PROVIDER = "aep_observability_catalog_events"
_PREFIX = "whsec_"
_SECRET_BYTES = range(24, 65)
_EVENTS = uuid.UUID("b6a1f3c2-54f0-4d0e-9c55-7a0b5a6c1d21")  # the name space of the ids of events


class EventCode(StrEnum):
    """What can be announced of a run."""

    START = "sources_flow_run_start"
    SUCCESS = "sources_flow_run_success"
    FAILURE = "sources_flow_run_failure"
    NO_DATA = "sources_flow_run_no_data"


class DeliveryState(StrEnum):
    """Where a delivery stands: waiting for a try, or ended."""

    PENDING = "pending"
    DELIVERED = "delivered"
    GIVEN_UP = "givenUp"


@dataclass(frozen=True, kw_only=True, slots=True)
class Delivery:
    """One event on its way to one webhook. Times are milliseconds since the epoch.

    `event_id` is the same for all webhooks and tries. `status` is that of the last answer, None when there was none;
    `reason` is why the last try failed. `due_at` is when the next try is due.
    """

    seq: int
    id: str
    scope: Scope
    webhook_id: str
    event_id: str
    code: EventCode
    run_id: str
    payload: Json
    state: DeliveryState
    tries: int
    due_at: int
    created_at: int
    updated_at: int
    status: int | None
    reason: str | None


def codes_of(run: Run) -> tuple[EventCode, ...]:
    """What there is to announce of a run as it stands: one that has just begun, or has just ended.

    A run that was cancelled announces nothing.
    """
    if run.state is RunState.IN_PROGRESS:
        return (EventCode.START,)
    if run.state is RunState.FAILED:
        return (EventCode.FAILURE,)
    if run.state is RunState.CANCELLED or not run.state.final:
        return ()
    landed = run.metrics.get("recordSummary", {}).get("outputRecordCount", 0)
    return (EventCode.SUCCESS,) if landed else (EventCode.SUCCESS, EventCode.NO_DATA)


def event(run: Run, code: EventCode) -> Json:
    """What a webhook is sent: `{"event_id", "event"}`, the event being the whole run as it stands, and more."""
    started = run.metrics.get("durationSummary", {}).get("startedAtUTC", run.updated_at)
    of_adobe = {"imsOrgId": run.scope.org_id, "providerMetadata": _PROVIDER, "eventCode": code.value}
    return {
        "event_id": str(uuid.uuid5(_EVENTS, f"{run.id}/{code}")),
        "event": {
            **wire.run(run),
            "slaCreatedAt": run.created_at,
            "processStartTime": started,
            "transformedTime": run.updated_at,
            "header": {"_adobeio": of_adobe},
        },
    }


def new_secret() -> str:
    """A secret to sign by: 256 random bits."""
    return _PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def is_secret(text: str) -> bool:
    """Whether `text` has the form of such a secret: `whsec_`, then 24 to 64 bytes in base64."""
    try:
        return text.startswith(_PREFIX) and len(_key(text)) in _SECRET_BYTES
    except (binascii.Error, ValueError):
        return False


def signed(secret: str, event_id: str, seconds: int, body: bytes) -> Mapping[str, str]:
    """The headers by which the receiver of `body` knows the sender, the event and the time, in Unix seconds."""
    text = f"{event_id}.{seconds}.".encode() + body
    digest = base64.b64encode(hmac.new(_key(secret), text, hashlib.sha256).digest()).decode()
    return {"webhook-id": event_id, "webhook-timestamp": str(seconds), "webhook-signature": f"v1,{digest}"}


def _key(secret: str) -> bytes:
    return base64.b64decode(secret.removeprefix(_PREFIX), validate=True)
