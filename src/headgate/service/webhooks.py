"""Webhooks: who is told of the runs of a sandbox, and what they were told."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from headgate.config import Settings
from headgate.engine import Receivers
from headgate.errors import BadParameter, ModeNotAllowed, ParameterMissing, TooManyWebhooks
from headgate.model.query import Field, Query
from headgate.model.resources import Kind, Resource
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.model.webhooks import Delivery, DeliveryState, EventCode, is_secret, new_secret
from headgate.outbound import Outbound
from headgate.service.bodies import check_id, kept, required_name, shown, text, texts
from headgate.service.connections import MASK
from headgate.service.paging import Listings, Parameters, known_parameters
from headgate.service.resources import Collection, Content
from headgate.store import ScopedStore, Store

__all__ = ["Webhooks"]

_MOST = 20
_LONGEST_URL = 2000
_DEFAULT = (EventCode.SUCCESS, EventCode.FAILURE)
_DELIVERY_FIELDS: Mapping[str, Field] = {
    "id": Field("id"),
    "eventId": Field("event_id"),
    "eventCode": Field("event_code", words=tuple(EventCode)),
    "runId": Field("run_id"),
    "state": Field("state", words=tuple(DeliveryState)),
    "tries": Field("tries", number=True),
    "createdAt": Field("created_at", number=True),
    "updatedAt": Field("updated_at", number=True),
}


class Webhooks(Collection):
    """The webhooks of a sandbox. Each has a secret that its deliveries are signed by."""

    kind = Kind.WEBHOOK
    fields: ClassVar = {"url": Field("body.url"), "eventTypes[]": Field("body.eventTypes[]")}
    changeable = frozenset({"name", "description", "url", "eventTypes", "secret"})

    def __init__(self, store: Store, listings: Listings, settings: Settings) -> None:
        super().__init__(store, listings)
        self._settings = settings

    def create(self, caller: Caller, body: Json, parameters: Parameters = ()) -> Json:
        """Register a webhook whose receiver answers the challenge; its id and etag.

        A `secret` that was not sent is made, and shown only now.
        Raises InvalidRequest.
        """
        known_parameters(parameters, ())
        there = self._store.scoped(caller).list(self.kind, Query(count=True)).total or 0
        if there >= _MOST:
            raise TooManyWebhooks(f"The sandbox has {there} webhooks, as many as it may have. Delete one first.")
        if body.get("secret"):
            return super().create(caller, body)
        secret = new_secret()
        return {**super().create(caller, {**body, "secret": secret}), "secret": secret}

    def deliveries(self, caller: Caller, id_: str, parameters: Parameters) -> Json:
        """One page of what a webhook was or will be sent, newest first. Raises NotFound, InvalidRequest."""
        webhook = self._store.scoped(caller).get(self.kind, check_id(id_, self.kind))
        collection = f"{self.kind}/{webhook.id}/deliveries"
        query = self._listings.read(caller.scope, collection, parameters, _DELIVERY_FIELDS)
        page = self._store.deliveries.of(caller.scope, webhook.id, query)
        return self._listings.answer(caller.scope, collection, query, page, _shown)

    def _content(self, store: ScopedStore, body: Json, before: Resource | None = None) -> Content:
        name, url = required_name(body), text(body, "url")
        if not url:
            raise ParameterMissing("url is missing or empty.", parameter="url")
        if len(url) > _LONGEST_URL:
            raise BadParameter(f"url has {len(url)} characters; {_LONGEST_URL} are allowed.", parameter="url")
        types, secret = _event_types(body), body.get("secret")
        if before is None or secret != MASK:
            _check_secret(secret)
        if before is None or url != before.body["url"]:
            self._receivers(store).challenge(url)
        content = {**kept(body, "description"), "name": name, "url": url, "eventTypes": types, "secret": MASK}
        return Content(name, content, secret={"secret": secret} if secret != MASK else None)

    def _sketch(self, store: ScopedStore, body: Json) -> Content:  # noqa: ARG002 - as every kind
        raise ModeNotAllowed("Webhooks have no drafts.")

    def _receivers(self, store: ScopedStore) -> Receivers:
        shared = self._store.tenants.tenancy(store.scope).shared
        return Receivers(Outbound(self._settings, shared=shared), self._settings.webhook_timeout)


def _event_types(body: Json) -> list[str]:
    given = texts(body, "eventTypes") or [code.value for code in _DEFAULT]
    for name in given:
        if name not in list(EventCode):
            raise BadParameter(
                f"eventTypes holds {shown(name)}; there are: {', '.join(EventCode)}.", parameter="eventTypes"
            )
    return list(dict.fromkeys(given))


def _check_secret(secret: Any) -> None:
    if not isinstance(secret, str) or not is_secret(secret):
        # Not quoted: it may be one.
        raise BadParameter(
            "secret is no secret of a webhook: send whsec_ and 24 to 64 bytes in base64, or leave it out at first.",
            parameter="secret",
        )


def _shown(deliveries: Sequence[Delivery]) -> list[Json]:
    return [_wire(delivery) for delivery in deliveries]


def _wire(delivery: Delivery) -> Json:
    wire: Json = {
        "id": delivery.id,
        "eventId": delivery.event_id,
        "eventCode": delivery.code.value,
        "runId": delivery.run_id,
        "state": delivery.state.value,
        "tries": delivery.tries,
        "createdAt": delivery.created_at,
        "updatedAt": delivery.updated_at,
    }
    if delivery.status is not None:
        wire["status"] = delivery.status
    if delivery.reason is not None:
        wire["reason"] = delivery.reason
    if delivery.state is DeliveryState.PENDING:
        wire["nextTryAt"] = delivery.due_at
    return wire
