"""APIs of vendors, each described by a manifest.

`loading.py` reads the YAML in `manifests/`, or an operator's own, into the frozen data of `manifest.py`; `reader.py` is
what a run asks. Underneath, `pages.py` turns pages by `paging.py`, `asking.py` sends requests, `records.py` finds the
records in what comes back, and `values.py` makes them columns of fixed types. What no manifest can say is a module in
`hooks/`.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from headgate.errors import BadParameter
from headgate.sources.batches import BatchSource
from headgate.sources.context import Context
from headgate.sources.rest.loading import built_in, shipped
from headgate.sources.rest.manifest import Manifest
from headgate.sources.rest.reader import RestReader

__all__ = ["open_rest", "opened", "shipped"]


def open_rest(
    name: str, title: str, ways: Sequence[tuple[str, Mapping[str, Any]]], auth: Mapping[str, Any], context: Context
) -> BatchSource:
    """The source of the spec `name`; `ways` are its ways to authenticate, by name, with their schemas."""
    return opened(built_in(name, [schema for _, schema in ways]), title, ways, auth, context)


def opened(
    manifest: Manifest,
    title: str,
    ways: Sequence[tuple[str, Mapping[str, Any]]],
    auth: Mapping[str, Any],
    context: Context,
) -> BatchSource:
    """The source that `manifest` describes, for the parameters of one connection."""
    way, schema = _way(ways, auth)
    chosen = manifest.auth.get("") or manifest.auth.get(way)
    if chosen is None:
        raise BadParameter(f"{title} cannot be reached by {way!r}; choose {' or '.join(map(repr, manifest.auth))}.")
    about = schema.get("properties", {})
    secrets = [str(auth[name]) for name, said in about.items() if said.get("format") == "password" and auth.get(name)]
    defaults = {name: said["default"] for name, said in about.items() if "default" in said}
    return BatchSource(RestReader(title, manifest, chosen, {**defaults, **auth}, context.outbound, secrets))


def _way(ways: Sequence[tuple[str, Mapping[str, Any]]], auth: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """The way to authenticate that the parameters are of: the one that needs most of what is there."""
    fitting = [
        (name, schema)
        for name, schema in ways
        if set(schema.get("required", ())) <= auth.keys() and auth.keys() <= schema.get("properties", {}).keys()
    ]
    if not ways:
        return "", {}
    if not fitting:
        raise BadParameter("The parameters of the connection are of none of its ways to authenticate.")
    return max(fitting, key=lambda way: len(way[1].get("required", ())))
