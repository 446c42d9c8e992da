"""The sources as pages show them: what each is called, how far it is tested, and how often it is used."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from headgate.console.page import Visit
from headgate.errors import NotFound
from headgate.model.runs import Json
from headgate.model.scope import Caller

__all__ = ["CATEGORIES", "SourceKind", "Uses", "called", "every", "kind_of", "kinds", "uses"]

CATEGORIES = {
    "database": "Databases",
    "cloudStorage": "Files and cloud storage",
    "protocols": "Protocols",
    "crm": "Customer relationship",
    "marketingAutomation": "Marketing automation",
    "customerSuccess": "Customer success",
    "payments": "Payments",
    "ecommerce": "E-commerce",
    "advertising": "Advertising",
    "analytics": "Analytics",
    "consentAndPreferences": "Consent and preferences",
    "dataAndIdentityPartners": "Data and identity partners",
    "dataLake": "The lake itself",
    "localSystem": "Local system",
    "streaming": "Streaming",
    "": "Your organisation's own",
}
"""What the keys of categories are called, in the order in which they are shown."""

_READS = {"FileSystem": "file", "Resource": "resource"}
_MOST_PAGES, _PAGE = 10, "1000"
_MOST_IDS = 900  # a listing takes 1,000 values
Listing = Callable[[Caller, list[tuple[str, str]]], Json]


@dataclass(frozen=True, slots=True)
class SourceKind:
    """A connection spec that is read from. `auth` are its authentication specs, as the API answers them.

    `reads` is what it has: file, table or, of an API, resource; `account` whether connections have credentials, and
    `open` whether it is read without a connection, too.
    """

    id: str
    name: str
    title: str
    description: str
    category: str
    runnable: bool
    verified: str
    reads: str
    account: bool
    open: bool
    auth: Sequence[Mapping[str, Any]]

    @property
    def files(self) -> bool:
        """Whether it has files."""
        return self.reads == "file"

    def matches(self, text: str) -> bool:
        """Whether each word of a search is in its names or its description."""
        about = f"{self.title} {self.name} {self.description} {CATEGORIES.get(self.category, '')}".casefold()
        return all(word in about for word in text.casefold().split())


@dataclass(frozen=True, slots=True)
class Uses:
    """How many connections and flows there are of each kind of source, by its id."""

    connections: Mapping[str, int]
    flows: Mapping[str, int]


def kinds(visit: Visit) -> list[SourceKind]:
    """Every source of the catalogue, and those that the organisation describes; what runs here first, then by title."""
    wires = visit.service.connection_specs.listing(visit.caller, [])["items"]
    found = [_kind(wire) for wire in wires if (wire.get("attributes") or {}).get("isSource", True)]
    return sorted(found, key=lambda kind: (not kind.runnable, kind.title.casefold()))


def kind_of(visit: Visit, id_: str) -> SourceKind:
    """The source with this id or name. Raises NotFound."""
    for kind in kinds(visit):
        if id_ in (kind.id, kind.name):
            return kind
    raise NotFound(f"No source has the id or name {id_[:80]!r}. The sources are listed under Sources.", id=id_[:80])


def uses(visit: Visit) -> Uses:
    """How often each source is used in the sandbox."""
    service, caller = visit.service, visit.caller
    of_connections = every(service.connections.listing, caller, [("property", "connectionSpec")])
    of_flows = every(service.flows.listing, caller, [("property", "inheritedAttributes")])
    return Uses(
        Counter(str(one["connectionSpec"]["id"]) for one in of_connections),
        Counter(str(one["inheritedAttributes"]["sourceConnections"][0]["connectionSpec"]["id"]) for one in of_flows),
    )


def every(listing: Listing, caller: Caller, parameters: Sequence[tuple[str, str]]) -> Iterator[Json]:
    """The entries of a listing's pages, one after the other; at most 10,000."""
    asked = [*parameters, ("limit", _PAGE)]
    for _ in range(_MOST_PAGES):
        page = listing(caller, asked)
        yield from page["items"]
        following = page["_links"].get("next")
        if following is None:
            return
        asked = [("continuationToken", following["href"].split("continuationToken=")[-1])]


def called(listing: Listing, caller: Caller, part: str) -> tuple[list[str], bool]:
    """The ids of the newest entries whose names have `part` in them, and whether there are more than a filter takes.

    The listings of the API compare names as a whole, so they are asked for these ids; without any, for one of nobody.
    """
    found = [
        str(one["id"])
        for one in every(listing, caller, [("property", "id,name")])
        if part.casefold() in str(one.get("name", "")).casefold()
    ]
    return found[:_MOST_IDS] or ["none"], len(found) > _MOST_IDS


def _kind(wire: Json) -> SourceKind:
    about = wire.get("attributes") or {}  # of a spec that an organisation describes, they may be anything
    auth = wire.get("authSpec") or []
    category = str(about.get("category", ""))
    return SourceKind(
        id=wire["id"],
        name=wire["name"],
        title=str(about.get("connectorName") or wire["name"]),
        description=str(about.get("description") or wire.get("description") or ""),
        category=category if category in CATEGORIES else "",
        runnable=about.get("status") == "runnable",
        verified=str(about.get("verified", "")),
        reads=_READS.get(str((wire.get("exploreSpec") or {}).get("type")), "table"),
        account=bool(auth),
        open=not auth or about.get("authOptional") is True,
        auth=auth,
    )
