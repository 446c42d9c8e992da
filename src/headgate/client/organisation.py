"""An organisation: who may do what in it, who did what, and the workers it is served by."""

from collections.abc import Sequence
from typing import Generic, TypeVar

from headgate.client import shapes
from headgate.client.asking import D, Group, call, given, pages
from headgate.client.shapes import Id, Moment
from headgate.client.steps import Page, Steps
from headgate.client.times import in_milliseconds
from headgate.model.addresses import HEADGATE

__all__ = ["Audit", "Clients", "Grants", "People", "Roles", "Workers"]

R = TypeVar("R")


class _Listed(Group[D], Generic[D, R]):
    """What is listed."""

    @pages
    def list(self, *, limit: int | None = None) -> Steps[Page[R]]:
        """All of them, at most `limit`."""
        return (yield from self._by_link(self._path, {}, limit))


class _Kept(_Listed[D, R]):
    """What can be removed again."""

    @call
    def delete(self, id: Id) -> Steps[None]:
        """Remove one, at once."""
        yield from self._ask("DELETE", self._one(id))


class Workers(_Listed[D, shapes.Worker]):
    """The processes that execute runs, oldest first."""

    _path = f"{HEADGATE}/workers"


class People(_Listed[D, shapes.Person]):
    """Who was granted a role, by user id."""

    _path = f"{HEADGATE}/people"


class Clients(_Kept[D, shapes.ClientApplication]):
    """The programs that may call the service; an id is also the API key."""

    _path = f"{HEADGATE}/clients"

    @call
    def create(
        self,
        name: str,
        *,
        id: str | None = None,
        issuer: str | None = None,
        role: str | None = None,
        sandbox: str | None = None,
    ) -> Steps[shapes.MadeClient]:
        """Make one, perhaps with a `role`, in one `sandbox` or the whole organisation. Its secret is shown only now.

        One whose tokens come from another `issuer` has no secret here.
        """
        body = given(name=name, id=id, issuer=issuer, role=role, sandbox=sandbox)
        return (yield from self._ask("POST", self._path, body=body))

    @call
    def rotate(self, id: Id, *, overlap: int | None = None) -> Steps[shapes.Rotated]:
        """Give one a new secret, shown only now; the last one stays good for `overlap` seconds, by default a day."""
        return (yield from self._ask("POST", self._one(id, "/rotate"), body=given(overlapSeconds=overlap)))

    @call
    def code(self, id: Id, *, user: str) -> Steps[shapes.SignInCode]:
        """A code by which a person signs in through this client, once and soon."""
        return (yield from self._ask("POST", self._one(id, "/code"), body={"user": user}))


class Roles(_Kept[D, shapes.Role]):
    """The roles and what they allow, the built-in ones first; an id is the role's name."""

    _path = f"{HEADGATE}/roles"

    @call
    def create(self, name: str, permissions: Sequence[str]) -> Steps[shapes.Role]:
        """Make one, of permissions that the caller has."""
        return (yield from self._ask("POST", self._path, body={"name": name, "permissions": [*permissions]}))


class Grants(_Kept[D, shapes.Grant]):
    """Who has which role where, oldest first."""

    _path = f"{HEADGATE}/grants"

    @call
    def create(
        self, principal: str, role: str, *, sandbox: str | None = None, kind: str | None = None
    ) -> Steps[shapes.Grant]:
        """Give a person a role, or a client if `kind` is `service`, in one `sandbox` or in the whole organisation."""
        body = given(principal=principal, role=role, sandbox=sandbox, kind=kind)
        return (yield from self._ask("POST", self._path, body=body))


class Audit(Group[D]):
    """Who did what in the organisation, or was refused it."""

    _path = f"{HEADGATE}/audit"

    @pages
    def list(
        self, /, *, since: Moment | None = None, until: Moment | None = None, limit: int | None = None, **filters: str
    ) -> Steps[Page[shapes.AuditEntry]]:
        """What was done in `[since, until)`, newest first, at most `limit`.

        `filters` are the API's own: `principal`, `action` (`create`, `delete`, `denied` …), `sandbox`, and `resource`,
        an id or a kind. Raises BadTime.
        """
        times = given(since=since, until=until)
        span = {name: in_milliseconds(moment) for name, moment in times.items()}
        return (yield from self._by_link(self._path, {**filters, **span}, limit))
