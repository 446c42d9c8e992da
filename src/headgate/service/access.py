"""Access control as others may ask for it: which permissions there are, and what the caller may do by them."""

from collections.abc import Iterable, Mapping, Sequence

from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.scope import Caller

__all__ = ["effective_policies", "reference"]

_READ, _ALL = ("read",), ("read", "write", "delete")
_MEANING: Mapping[Permission, tuple[str, tuple[str, ...]]] = {
    Permission.VIEW_SOURCES: ("sources", _READ),
    Permission.MANAGE_SOURCES: ("sources", _ALL),
    Permission.RUN_ON_DEMAND: ("runs", ("write",)),
    Permission.VIEW_DATASETS: ("datasets", _READ),
    Permission.MANAGE_DATASETS: ("datasets", _ALL),
    Permission.VIEW_SCHEMAS: ("schemas", _READ),
    Permission.MANAGE_SCHEMAS: ("schemas", _ALL),
    Permission.VIEW_SANDBOXES: ("sandboxes", _READ),
    Permission.MANAGE_SANDBOXES: ("sandboxes", _ALL),
    Permission.RESET_SANDBOXES: ("sandboxes", ("write",)),
    Permission.VIEW_MONITORING: ("monitoring", _READ),
    Permission.VIEW_AUDIT: ("user-activity-log", _READ),
    Permission.MANAGE_SPECS: ("specs", _ALL),
    Permission.MANAGE_ACCESS: ("access", _ALL),
}


def reference() -> Json:
    """`{"permissions": {name: {resource type: [actions]}}, "resource-types": {name: [actions]}}`."""
    return {
        "permissions": {permission.value: {what: list(actions)} for permission, (what, actions) in _MEANING.items()},
        "resource-types": {what: _actions_on(what, _MEANING) for what, _ in _MEANING.values()},
    }


def effective_policies(caller: Caller, names: Sequence[str]) -> Json:
    """`{"policies": {name: [actions]}}`: what the caller may do, by permission or by type of resource.

    A name is `/permissions/<permission>` or `/resource-types/<resource type>`; one that is not known allows nothing.
    """
    return {"policies": {name: _allowed(caller, name) for name in names}}


def _allowed(caller: Caller, name: str) -> list[str]:
    match name.strip("/").split("/"):
        case ["resource-types", what]:
            return _actions_on(what, caller.permissions)
        case ["permissions", what] if what in caller.permissions:
            return list(_MEANING[Permission(what)][1])
        case _:
            return []


def _actions_on(what: str, permissions: Iterable[Permission]) -> list[str]:
    meanings = [_MEANING[permission] for permission in permissions]
    found = {action for kind, actions in meanings if kind == what for action in actions}
    return [action for action in _ALL if action in found]
