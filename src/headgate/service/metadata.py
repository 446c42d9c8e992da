"""What an operator does with the metadata database: see how it is, upgrade it, move it."""

from pathlib import Path

from headgate.errors import MetadataMoved
from headgate.model.runs import Json
from headgate.service.local import settings_for
from headgate.store import move as moved
from headgate.store import place, revisions
from headgate.store import upgrade as upgraded

__all__ = ["move", "status", "upgrade"]


def status(data: Path | None) -> Json:
    """How the metadata is: `{"place", "revision", "newest", "state"}`, and nothing is changed.

    `state` is `empty`, `current`, `older` or `moved`. Raises BadSetting, MetadataNewer, Unavailable.
    """
    settings = settings_for(data)
    about = {"place": place(settings.metadata)}
    try:
        found, newest = revisions(settings)
    except MetadataMoved:
        return {**about, "revision": None, "newest": None, "state": "moved"}
    state = "empty" if found is None else "current" if found == newest else "older"
    return {**about, "revision": found, "newest": newest, "state": state}


def upgrade(data: Path | None) -> Json:
    """Bring the tables to the newest revision: `{"place", "from", "to"}`; `from` is None where there were none.

    Raises BadSetting, MetadataMoved, MetadataNewer, Unavailable.
    """
    settings = settings_for(data)
    found, newest = upgraded(settings)
    return {"place": place(settings.metadata), "from": found, "to": newest}


def move(data: Path | None, to: str) -> Json:
    """Move the metadata of a folder to the empty PostgreSQL database at `to`: `{"place", "tables": {name: rows}}`.

    Raises BadSetting, MoveRefused, MetadataMoved, MetadataNewer, OutcomeUnknown, Unavailable.
    """
    rows = moved(settings_for(data), to)
    return {"place": place(to), "tables": rows}
