"""Manifests of an operator's own: every YAML file of a folder is a connection spec, and the source behind it."""

from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from headgate.sources.plugins import Offer, SourcePlugin
from headgate.sources.rest.loading import loaded
from headgate.sources.rest.manifest import BadManifest, Manifest

__all__ = ["checked", "offers"]

_SERVICE_URL = {"type": "string", "description": "Where the API is reached instead, for a mock or a proxy."}


def offers(folder: Path) -> Iterator[Offer]:
    """What the files of `folder` bring, each to be loaded on its own."""
    for path in sorted([*folder.glob("*.yaml"), *folder.glob("*.yml")]):
        yield Offer("manifest", path.name, str(path), partial(_plugin, path))


def checked(path: Path) -> Manifest:
    """The manifest that a file is. Raises BadManifest."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeError) as error:
        raise BadManifest(f"{path} cannot be read: {error}") from None
    manifest = loaded(text)
    if manifest.spec is None:
        raise BadManifest(f"spec is {manifest.name!r}; a manifest of one's own describes its spec: id, name, title, …")
    return manifest


def _plugin(path: Path) -> SourcePlugin:
    from headgate.sources.rest import opened

    manifest = checked(path)
    assert manifest.spec is not None  # noqa: S101 - checked() has looked
    spec = {**manifest.spec, "kind": "table", "verified": manifest.verified}
    spec["auth"] = [_reachable_elsewhere(auth) for auth in manifest.spec["auth"]]
    ways = [(auth["name"], auth) for auth in spec["auth"]]
    parameters = {key: {"type": "string"} for stream in manifest.streams.values() for key in stream.parameters}
    if parameters:
        spec["params"] = {"properties": parameters}
    return SourcePlugin(spec, partial(opened, manifest, spec["title"], ways))


def _reachable_elsewhere(auth: Mapping[str, Any]) -> dict[str, Any]:
    return {**auth, "properties": {"serviceUrl": _SERVICE_URL, **auth["properties"]}}
