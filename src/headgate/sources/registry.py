"""Finds the source for a connection spec."""

from collections.abc import Mapping
from typing import Any

from headgate.config import Settings
from headgate.errors import SourceNotOnDemand
from headgate.model.scope import Tenancy
from headgate.outbound import Outbound
from headgate.sources.interface import Source
from headgate.sources.references import resolved
from headgate.sources.roots import Roots
from headgate.sources.specs import connection_specs

__all__ = ["open_source"]


def open_source(spec_id: str, auth_params: Mapping[str, Any], settings: Settings, tenancy: Tenancy) -> Source:
    """The source behind the connection spec `spec_id`, with the parameters of one connection's `auth`.

    References in place of secrets are followed. Nothing is reached yet, but where the source would reach to is
    judged; `tenancy` is from `Store.tenants.tenancy()`. Raises SourceNotOnDemand for a spec that is unknown, a
    target, or only listed; ReferenceRefused; HostNotAllowed; PathNotAllowed.
    """
    spec = next((spec for spec in connection_specs() if spec.id == spec_id), None)
    if spec is not None:
        auth_params = resolved(auth_params, spec.secrets, settings, tenancy)
    # Each import waits until it is needed, so that a source costs nothing to those who use another.
    match spec.name if spec else None:
        case "postgresql":
            from headgate.sources.sql import PostgresSource

            return PostgresSource(auth_params, Outbound(settings, shared=tenancy.shared))
        case "sqlite":
            from headgate.sources.sql import SqliteSource

            return SqliteSource(auth_params, Roots.of(settings, tenancy))
        case "local-files":
            from headgate.sources.files import LocalFiles

            return LocalFiles(auth_params, Roots.of(settings, tenancy))
    if spec is None:
        raise SourceNotOnDemand(f"No connection spec has the id {spec_id!r}, so nothing can be read through it.")
    if not spec.is_source:
        raise SourceNotOnDemand(f"{spec.title} is a target; it cannot be read.")
    raise SourceNotOnDemand(f"{spec.title} is listed in the catalogue, but this version cannot read it.")
