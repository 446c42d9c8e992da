"""Who calls, and in which organisation and sandbox everything happens."""

import re
from dataclasses import dataclass
from typing import Literal

from headgate.errors import PermissionDenied
from headgate.model.permissions import Permission

__all__ = ["Caller", "Principal", "Scope", "Tenancy"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One sandbox of one organisation. Every store query is bound to one."""

    org_id: str
    sandbox_id: str
    sandbox_name: str


@dataclass(frozen=True, slots=True)
class Tenancy:
    """An organisation, and whether others are served beside it: then it may reach and use only what is listed.

    `sandbox` is the name of the sandbox that is acted in, which no other of the organisation's ever has.
    """

    org_id: str
    shared: bool
    sandbox: str = "prod"

    @property
    def folder(self) -> str:
        """The organisation's id as the name of a folder, which no id leads out of."""
        return re.sub(r"[^A-Za-z0-9@_-]", "_", self.org_id) or "_"

    @property
    def variables(self) -> str:
        """What the names of the organisation's environment variables begin with, after the common prefix."""
        return re.sub(r"[^A-Za-z0-9]", "_", self.org_id) + "_"


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller a token names: a person or a service, acting through a client application.

    `orgs` are those the token is for, None where it leaves that to what was granted. `issuer` is empty for
    this deployment's own. `roles` are what the token itself brings: a role, and the sandbox or None for all.
    """

    user_id: str
    client_id: str
    kind: Literal["user", "service"]
    orgs: frozenset[str] | None
    issuer: str = ""
    roles: frozenset[tuple[str, str | None]] = frozenset()
    name: str = ""
    email: str = ""


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal in the one scope this call is for, with what it may do there.

    `request_id` is the call's, as the answer and the log name it.
    """

    principal: Principal
    scope: Scope
    permissions: frozenset[Permission]
    request_id: str = ""

    def require(self, permission: Permission) -> None:
        """Raise PermissionDenied unless the caller has `permission` here."""
        if permission not in self.permissions:
            raise PermissionDenied(
                f"The permission {permission.value!r} is needed in the sandbox {self.scope.sandbox_name!r}; "
                f"{self.principal.user_id} does not have it. An administrator can grant a role that has.",
                permission=permission.value,
            )
