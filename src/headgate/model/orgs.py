"""Organisations, their sandboxes and clients, and who may do what in them.

A grant gives a principal a role, in one sandbox or in the whole organisation; several add up. A principal is
a person, by the user id of their token, or a service, by its client id. A role is a set of permissions. Those
that reach beyond one sandbox come only from a grant for the whole organisation.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from headgate.model.permissions import EVERYTHING, Permission

__all__ = ["BUILT_IN_ROLES", "Client", "Grant", "Org", "Sandbox", "Standing"]

_VIEWER = frozenset(
    {
        Permission.VIEW_SOURCES,
        Permission.VIEW_DATASETS,
        Permission.VIEW_SCHEMAS,
        Permission.VIEW_SANDBOXES,
        Permission.VIEW_MONITORING,
    }
)
_OPERATOR = _VIEWER | {Permission.RUN_ON_DEMAND}
_DEVELOPER = _OPERATOR | {Permission.MANAGE_SOURCES, Permission.MANAGE_DATASETS, Permission.MANAGE_SCHEMAS}
BUILT_IN_ROLES: Mapping[str, frozenset[Permission]] = {
    "admin": EVERYTHING,
    "developer": _DEVELOPER,
    "operator": _OPERATOR,
    "viewer": _VIEWER,
}
_OF_THE_ORG = frozenset(
    {
        Permission.MANAGE_SANDBOXES,
        Permission.RESET_SANDBOXES,
        Permission.VIEW_AUDIT,
        Permission.MANAGE_SPECS,
        Permission.MANAGE_ACCESS,
    }
)


@dataclass(frozen=True, slots=True)
class Org:
    """An organisation."""

    id: str
    name: str


@dataclass(frozen=True, slots=True)
class Sandbox:
    """A sandbox of an organisation. `version` grows with every change; times are milliseconds."""

    id: str
    org_id: str
    name: str
    title: str
    type: str
    state: str
    is_default: bool
    version: int
    created_at: int
    updated_at: int
    created_by: str
    updated_by: str


@dataclass(frozen=True, slots=True)
class Client:
    """A client application of an organisation. `issuer` is whose tokens name it, empty for our own."""

    id: str
    org_id: str
    name: str
    issuer: str = ""


@dataclass(frozen=True, slots=True)
class Grant:
    """A role for a principal. `sandbox` is a name, None for the whole organisation; `id` that of a stored one."""

    principal: str
    kind: Literal["user", "service"]
    role: str
    sandbox: str | None
    id: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Standing:
    """What one principal was granted in one organisation, and what the organisation's roles allow."""

    grants: frozenset[Grant]
    roles: Mapping[str, frozenset[Permission]]

    def inside(self, sandbox: str) -> frozenset[Permission]:
        """What the principal may do in the sandbox of this name."""
        return self._of(self.grants, None) | (self._of(self.grants, sandbox) - _OF_THE_ORG)

    def across(self) -> frozenset[Permission]:
        """What the principal may do in the whole organisation. Who may see one sandbox may look for it there."""
        views = any(Permission.VIEW_SANDBOXES in self.roles.get(grant.role, ()) for grant in self.grants)
        return self._of(self.grants, None) | ({Permission.VIEW_SANDBOXES} if views else set())

    def allows(self, grant: Grant) -> bool:
        """Whether the principal may do, where `grant` holds, all that it allows: so it may give and take it."""
        here = self.across() if grant.sandbox is None else self.inside(grant.sandbox)
        gives = self.roles.get(grant.role, EVERYTHING)
        return (gives if grant.sandbox is None else gives - _OF_THE_ORG) <= here

    def uses(self, sandbox: str) -> bool:
        """Whether any grant reaches the sandbox of this name."""
        return any(grant.sandbox in (None, sandbox) for grant in self.grants)

    def _of(self, grants: Iterable[Grant], sandbox: str | None) -> frozenset[Permission]:
        names = {grant.role for grant in grants if grant.sandbox == sandbox}
        return frozenset().union(*(self.roles.get(name, frozenset()) for name in names))
