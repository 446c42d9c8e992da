"""What the people of this machine may do with a data folder, without a service running."""

import json
from pathlib import Path

from headgate.auth import local_credentials
from headgate.config import Settings
from headgate.errors import NotFound
from headgate.model.runs import Json
from headgate.store import open_store

__all__ = ["DEFAULT_ADDRESS", "NoDeployment", "credentials", "must_exist", "remember_address", "settings_for"]


class NoDeployment(NotFound):
    """There is no Headgate data in this folder."""


DEFAULT_ADDRESS = "http://127.0.0.1:8080"


def settings_for(data: Path | None) -> Settings:
    """The settings, with the data folder that was named, if one was."""
    return Settings() if data is None else Settings(data=data)


def credentials(data: Path | None, *, create: bool = True) -> Json:
    """What a client of the local organisation needs, with a token valid for a day.

    `{"baseUrl","orgId","sandbox","apiKey","clientId","clientSecret","accessToken"}`. The address is the one
    the folder's service was last started at. Makes the folder and the organisation on first use, unless
    `create` is false: then raises NoDeployment.
    """
    settings = settings_for(data)
    if not create:
        must_exist(settings)
    store = open_store(settings)
    try:
        found = local_credentials(settings, store)
    finally:
        store.close()
    wire: Json = dict(found.wire(_address(settings)))
    return wire


def must_exist(settings: Settings) -> None:
    """Raise NoDeployment when the data folder holds nothing of Headgate's yet."""
    if not settings.keys.exists():
        raise NoDeployment(f"There is no Headgate data in {settings.data}. Name the folder by --data, or start serve.")


def remember_address(settings: Settings, address: str) -> None:
    """Keep the address that a service of this folder answers at, for `credentials()`."""
    settings.address_note.write_text(json.dumps({"baseUrl": address}))


def _address(settings: Settings) -> str:
    note = settings.address_note
    return str(json.loads(note.read_text())["baseUrl"]) if note.exists() else DEFAULT_ADDRESS
