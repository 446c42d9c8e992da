"""Sources that do not come with Headgate: of other distributions, by entry points of the group `headgate.sources`, and
manifests that an operator wrote.

Each entry point names a `SourcePlugin`: a connection spec in the form of those in `catalog/connections`, and what opens
its source. One that cannot be loaded is told of, in the log and to whoever asks for a spec that is not there; the
others work.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from importlib import metadata
from typing import Any
from uuid import UUID

from headgate.sources.context import Factory
from headgate.telemetry import emit

__all__ = ["GROUP", "Offer", "SourcePlugin", "installed", "load"]

GROUP = "headgate.sources"
_KINDS = ("table", "file")
_VERIFIED = ("server", "interface", "vendor", "openapi", "documented")
_NEEDED = {"id": str, "name": str, "title": str, "description": str, "category": str, "kind": str, "auth": list}
_OF_AUTH = {"name": str, "type": str, "properties": dict, "required": list}


@dataclass(frozen=True, slots=True)
class SourcePlugin:
    """A source of somebody else's: its `spec`, and the factory that opens it for the params of a connection's `auth`.

    `spec` is what an entry of `catalog/connections/*.json` is, with its `category`: `id` (a UUID of its own), `name`,
    `title`, `description` (a sentence), `kind` (table or file), `auth` (a list of `name`, `type`, `properties`,
    `required`; empty when no account is needed), and, if it is so, `authOptional`, `filtersRows`, `params`, and
    `verified` (`server` or `interface`; else the latter). A parameter that is not declared is refused before the
    factory sees it, unless an `auth`, or `params`, says `"additionalProperties": true`.
    """

    spec: Mapping[str, Any]
    open: Factory


@dataclass(frozen=True, slots=True)
class Offer:
    """Something that may be a source: what kind of thing it is, what it is called, where it is, and what loads it."""

    kind: str
    name: str
    where: str
    load: Callable[[], object]


def installed() -> Iterable[Offer]:
    """What the distributions that are installed bring."""
    for entry in sorted(metadata.entry_points(group=GROUP), key=lambda entry: entry.name):
        yield Offer("plug-in", entry.name, entry.value, entry.load)


def load(offers: Iterable[Offer], accept: Callable[[SourcePlugin], str | None]) -> tuple[list[SourcePlugin], list[str]]:
    """Each of the offers that is well made and that `accept` has nothing against; of the others, why they are not used.

    `accept` gives a reason, or raises.
    """
    found: list[SourcePlugin] = []
    broken: list[str] = []
    for offer in offers:
        reason: str | None
        try:
            plugin: Any = offer.load()
            reason = _fault(plugin) or accept(plugin)
        except Exception as error:  # noqa: BLE001 - somebody else's code; what it breaks is its own source
            plugin, reason = None, f"{type(error).__name__}: {error}"
        if reason is None:
            found.append(plugin)
            continue
        emit("source.plugin_refused", level="error", plugin=offer.name, reason=reason[:1000])
        broken.append(f"The {offer.kind} {offer.name!r} ({offer.where}) is not used: {reason}.")
    return found, broken


def _fault(plugin: object) -> str | None:
    """What is wrong with what an entry point named; None when nothing is."""
    if not isinstance(plugin, SourcePlugin):
        return f"it names a {type(plugin).__name__} and no SourcePlugin"
    made: Any = plugin  # its members may be anything
    if not isinstance(made.spec, Mapping) or not callable(made.open):
        return "its spec must be a mapping, and what opens it callable"
    if (fault := _missing(plugin.spec, _NEEDED, "spec")) is not None:
        return fault
    if plugin.spec["kind"] not in _KINDS:
        return f"spec.kind is {plugin.spec['kind']!r}; it must be {' or '.join(_KINDS)}"
    if not _is_uuid(plugin.spec["id"]) or not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,62}", plugin.spec["name"]):
        return "spec.id must be a UUID in small letters, and spec.name of small letters, digits and hyphens"
    if plugin.spec.get("verified", "interface") not in _VERIFIED:
        return f"spec.verified must be {', '.join(_VERIFIED[:-1])} or {_VERIFIED[-1]}"
    for auth in plugin.spec["auth"]:
        if not isinstance(auth, Mapping):
            return "spec.auth must be a list of objects"
        if (fault := _missing(auth, _OF_AUTH, "spec.auth")) is not None:
            return fault
    return None


def _missing(spec: Mapping[str, Any], needed: Mapping[str, type], where: str) -> str | None:
    wrong = [name for name, type_ in needed.items() if not isinstance(spec.get(name), type_)]
    return f"{where}.{wrong[0]} is missing, or no {needed[wrong[0]].__name__}" if wrong else None


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
