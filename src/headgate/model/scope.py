"""Who calls, and in which organisation and sandbox everything happens."""

from dataclasses import dataclass
from typing import Literal

__all__ = ["Caller", "Principal", "Scope", "Tenancy"]


@dataclass(frozen=True, slots=True)
class Scope:
    """One sandbox of one organisation. Every store query is bound to one."""

    org_id: str
    sandbox_id: str
    sandbox_name: str


@dataclass(frozen=True, slots=True)
class Tenancy:
    """An organisation, and whether others are served beside it: then it may reach and use only what is listed."""

    org_id: str
    shared: bool


@dataclass(frozen=True, slots=True)
class Principal:
    """The caller a token names: a person or a service, acting through a client application."""

    user_id: str
    client_id: str
    kind: Literal["user", "service"]
    orgs: frozenset[str]


@dataclass(frozen=True, slots=True)
class Caller:
    """A principal in the one scope this call is for."""

    principal: Principal
    scope: Scope
