"""The announcer: sends what webhooks are to be told, in threads of its own, so that no run waits for a receiver."""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from headgate import faults
from headgate.config import Settings
from headgate.engine.receivers import ReceiverFailed, Receivers
from headgate.errors import HeadgateError, HostNotAllowed, SecretsKeyUnusable, VaultLocked
from headgate.model.resources import now_ms
from headgate.model.webhooks import signed
from headgate.outbound import Outbound
from headgate.store import ClaimedDelivery, Store
from headgate.telemetry import emit

__all__ = ["Announcer"]

_AT_ONCE = 4
_LOOKUP = 10.0  # seconds that a claim lasts beyond the time to connect and answer
_LONGEST_PAUSE = 6 * 3600.0
_KEPT_MS = 30 * 86_400_000
_TIDY_SECONDS = 3600


class Announcer:
    """Sends deliveries of `store` as they come due, a few at the same time, until it is stopped."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._stopping = threading.Event()
        self._wake = threading.Event()  # a webhook is free for its next delivery
        self._free = threading.Semaphore(_AT_ONCE)
        self._tidy_at = 0.0
        self._thread = threading.Thread(target=self._work, name="announcer")

    def start(self) -> None:
        """Begin, in threads of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Send nothing more; what is being sent has its time to be answered."""
        self._stopping.set()
        self._wake.set()
        self._thread.join()

    def _work(self) -> None:
        with ThreadPoolExecutor(_AT_ONCE, "webhook") as pool:
            while not self._stopping.is_set():
                self._wake.clear()
                self._tidy()
                claimed = self._claim()
                if claimed is None:
                    self._wake.wait(self._settings.poll)
                else:
                    pool.submit(self._send, claimed)

    def _claim(self) -> ClaimedDelivery | None:
        """Claim a delivery once a place is free for it. The place is given back by `_send()`."""
        if not self._free.acquire(timeout=self._settings.poll):
            return None
        claimed = None
        with _outlived("webhook.claim_failed"):
            claimed = self._store.deliveries.claim(lease=self._settings.webhook_timeout * 2 + _LOOKUP)
        if claimed is None:
            self._free.release()
        return claimed

    def _send(self, claimed: ClaimedDelivery) -> None:
        try:
            with _outlived("webhook.not_recorded", delivery=claimed.delivery.id):
                self._try(claimed)
        finally:
            self._free.release()
            self._wake.set()

    def _try(self, claimed: ClaimedDelivery) -> None:
        delivery, status = claimed.delivery, None
        try:
            status = self._post(claimed)
            reason = "redirects are not followed" if 300 <= status < 400 else f"answered {status}"
        except (ReceiverFailed, HostNotAllowed) as error:
            reason = error.detail
        except (VaultLocked, SecretsKeyUnusable) as error:  # the operator's to know
            emit("webhook.locked", level="error", webhook=delivery.webhook_id, reason=error.detail)
            reason = error.title
        about = {"webhook": delivery.webhook_id, "event_id": delivery.event_id, "run": delivery.run_id}
        if status is not None and 200 <= status < 300:
            self._store.deliveries.delivered(delivery, status)
            emit("webhook.delivered", tries=delivery.tries, **about)
            return
        pause = self._pause(delivery.tries)
        self._store.deliveries.failed(delivery, reason, status=status, pause=pause)
        outcome, level = ("webhook.given_up", "error") if pause is None else ("webhook.failed", "warning")
        emit(outcome, level=level, reason=reason, tries=delivery.tries, **about)

    def _post(self, claimed: ClaimedDelivery) -> int:
        """Send a delivery; the status of the answer. Raises HeadgateError."""
        delivery = claimed.delivery
        kept = self._store.scoped(delivery.scope).secret(delivery.webhook_id)
        if not kept:
            raise ReceiverFailed("The webhook was deleted.")
        body = json.dumps(delivery.payload, separators=(",", ":")).encode()
        shared = self._store.tenants.tenancy(delivery.scope).shared
        receivers = Receivers(Outbound(self._settings, shared=shared), self._settings.webhook_timeout)
        status = receivers.post(claimed.url, body, signed(kept["secret"], delivery.event_id, int(time.time()), body))
        faults.point("webhook.after_send")
        return status

    def _pause(self, tries: int) -> float | None:
        """Seconds before the next try after so many; None when that was the last."""
        if tries >= self._settings.webhook_tries:
            return None
        return min(self._settings.webhook_pause * 4.0 ** (tries - 1), _LONGEST_PAUSE)

    def _tidy(self) -> None:
        """Once an hour, forget the deliveries that ended long ago."""
        if time.monotonic() < self._tidy_at:
            return
        self._tidy_at = time.monotonic() + _TIDY_SECONDS
        with _outlived("webhook.not_tidied"):
            self._store.deliveries.forget(now_ms() - _KEPT_MS)


@contextmanager
def _outlived(event: str, **about: str) -> Iterator[None]:
    """Log what goes wrong inside as `event`, and go on: what was not recorded is tried again."""
    try:
        yield
    except HeadgateError as error:
        emit(event, level="warning", reason=error.detail, **about)
    except Exception as error:  # noqa: BLE001 - whatever one delivery does, the others go on
        emit(event, level="error", exc_info=error, **about)
