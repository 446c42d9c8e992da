"""What an operator wants to know of an installation that does not do what it should. Nothing is changed."""

import os
import platform
import re
import shutil
import stat
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Literal

from headgate.config import Settings
from headgate.errors import HeadgateError, Unavailable
from headgate.sources import plugged, take_manifests
from headgate.store import open_store, revisions

__all__ = ["Finding", "examined"]

_EXTENSIONS = ("avro", "iceberg", "postgres_scanner", "sqlite_scanner")
_LITTLE = 2_000_000_000  # bytes that are soon used up
_SILENT_MS = 45_000
_OLDEST = (3, 11)
_OF_EXTRA = re.compile(r"([A-Za-z0-9._-]+).*;.*extra == ['\"]([a-z]+)['\"].*")


@dataclass(frozen=True, slots=True)
class Finding:
    """What one look came to, and what to do about it when it is not well."""

    check: str
    state: Literal["ok", "note", "problem"]
    found: str
    advice: str = ""


def examined(settings: Settings) -> Iterator[Finding]:
    """Look at Python, the data folder, the metadata, the keys, the worker, the engine, the drivers and the sources."""
    yield _python()
    yield from _folders(settings)
    yield from _metadata(settings)
    yield _engine()
    yield _extras()
    yield from _sources(settings)
    yield from _connectors(settings)


def _python() -> Finding:
    version = platform.python_version()
    if sys.version_info < _OLDEST:
        return Finding("python", "problem", version, "Headgate needs Python 3.11 or newer.")
    return Finding("python", "ok", f"{version}, headgate {metadata.version('headgate')}")


def _folders(settings: Settings) -> Iterator[Finding]:
    data = settings.data.resolve()
    if not settings.keys.exists():
        yield Finding(
            "data folder",
            "note",
            f"{data} holds nothing of Headgate's yet",
            "Run headgate serve, or name another by --data.",
        )
        return
    yield Finding("data folder", "ok", str(data))
    open_ = [path for path in (settings.keys, *settings.keys.iterdir()) if _is_open(path)]
    if open_:
        names = ", ".join(map(str, open_[:3]))
        yield Finding("modes", "problem", f"others may read {names}", f"Run chmod -R go= {settings.keys}")
    else:
        yield Finding("modes", "ok", f"{settings.keys} is its owner's alone")
    for name, folder in (("disk", data), ("scratch disk", settings.scratch_folder)):
        if folder.exists():
            yield _disk(name, folder)


def _is_open(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IRWXG | stat.S_IRWXO))


def _disk(name: str, folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    found = f"{usage.free / 1e9:,.1f} of {usage.total / 1e9:,.1f} GB free at {folder}"
    if usage.free < _LITTLE:
        return Finding(name, "problem", found, "Make room: runs fail when it is used up.")
    return Finding(name, "ok", found)


def _hearing(heard: bool) -> Finding:
    if heard:
        return Finding("wake-up", "ok", "workers hear of new runs at once")
    return Finding(
        "wake-up",
        "note",
        "workers find new runs at their next look at the queue only",
        "Is there a pooler that lends connections per transaction? Have it lend sessions.",
    )


def _metadata(settings: Settings) -> Iterator[Finding]:
    try:
        current, newest = revisions(settings)
    except Unavailable as error:
        yield Finding("metadata", "problem", error.detail, "See HEADGATE_METADATA_URL, and whether its server runs.")
        return
    except HeadgateError as error:  # of a newer Headgate, or moved
        yield Finding("metadata", "problem", error.detail, "Nothing starts until this is settled.")
        return
    if current is None:
        yield Finding("metadata", "note", "there are no tables yet", "headgate serve makes them.")
        return
    if current < newest:
        yield Finding(
            "metadata", "note", f"its tables are of revision {current}", f"headgate db upgrade brings them to {newest}."
        )
        return
    yield Finding("metadata", "ok", f"revision {current}")
    with closing(open_store(settings)) as store:
        try:
            locked = store.secrets.use().locked
        except HeadgateError as error:
            yield Finding("secrets", "problem", error.detail, "See HEADGATE_SECRETS_KEY.")
        else:
            if locked:
                yield Finding(
                    "secrets",
                    "problem",
                    f"the key of {len(locked)} connections is lost",
                    "Run headgate secrets status.",
                )
            else:
                yield Finding("secrets", "ok", "every credential's key is known")
        if (heard := store.wakeup.passes()) is not None:
            yield _hearing(heard)
        alive = [worker for worker in store.workers.all() if worker.silent_ms < _SILENT_MS]
        if alive:
            yield Finding("workers", "ok", f"{len(alive)} at work, {sum(worker.runs for worker in alive)} runs")
        elif store.work_waits():
            yield Finding("workers", "problem", "runs wait, and there is no worker", "Run headgate serve or worker.")
        else:
            yield Finding("workers", "ok", "none, and nothing waits for one")


def _engine() -> Finding:
    from headgate import dataplane

    try:
        dataplane.connect(*_EXTENSIONS).close()
    except HeadgateError as error:
        return Finding("engine", "problem", error.detail, "Run pip install --force-reinstall headgate")
    return Finding("engine", "ok", f"DuckDB {metadata.version('duckdb')} with {', '.join(_EXTENSIONS)}")


def _extras() -> Finding:
    """Which extras are installed, as the distribution itself names them."""
    needs: dict[str, bool] = {}
    for text in metadata.requires("headgate") or ():
        if found := _OF_EXTRA.fullmatch(text):
            name, extra = found.groups()
            needs[extra] = needs.get(extra, True) and _installed(name)
    there, absent = ([name for name, found in needs.items() if found is state] for state in (True, False))
    return Finding(
        "drivers",
        "note" if absent else "ok",
        f"installed: {', '.join(there) or 'none'}",
        f"Where needed: pip install 'headgate[NAME]', NAME being {', '.join(absent)}." if absent else "",
    )


def _connectors(settings: Settings) -> Iterator[Finding]:
    """Whether the registered taps and connectors can be run."""
    if settings.connectors is None:
        return
    from headgate.sources.child import registered

    try:
        found = registered(settings.connectors)
    except HeadgateError as error:
        yield Finding("connectors", "problem", error.detail, "See docs/how-to/connectors.md.")
        return
    absent = [each for each in found.values() if not os.access(each.command[0], os.X_OK)]
    for each in absent:
        text = f"{each.name}: {each.command[0]} is no program that may be run here"
        yield Finding("connectors", "problem", text, "Install it, or correct its command.")
    if not absent:
        yield Finding("connectors", "ok", f"registered: {', '.join(sorted(found)) or 'none'}")


def _installed(name: str) -> bool:
    try:
        metadata.version(name)
    except metadata.PackageNotFoundError:
        return False
    return True


def _sources(settings: Settings) -> Iterator[Finding]:
    """The sources that do not come with Headgate: plug-ins, and own manifests."""
    if settings.manifests is not None and not settings.manifests.is_dir():
        yield Finding("manifests", "problem", f"{settings.manifests} is no folder", "See HEADGATE_MANIFESTS.")
    take_manifests(settings.manifests)
    found = plugged()
    for sentence in found.broken:
        yield Finding("sources", "problem", sentence, "Mend it, and start the service and its workers anew.")
    if found.specs:
        yield Finding("sources", "ok", f"besides Headgate's own: {', '.join(spec.name for spec in found.specs)}")
