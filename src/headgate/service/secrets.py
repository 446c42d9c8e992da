"""What an operator does with the secrets of a data folder, while its service serves or not."""

from pathlib import Path

from headgate.model.runs import Json
from headgate.service.local import must_exist, settings_for
from headgate.store import open_store

__all__ = ["rotate", "status"]


def status(data: Path | None) -> Json:
    """Which key holds how many secrets: `{"current", "keys": [{"id","secrets"}], "locked": [connection ids]}`.

    Raises NoDeployment, SecretsKeyUnusable, Unavailable.
    """
    settings = settings_for(data)
    must_exist(settings)
    store = open_store(settings)
    try:
        use = store.secrets.use()
    finally:
        store.close()
    keys = [{"id": id_, "secrets": count} for id_, count in use.secrets.items()]
    return {"current": use.current, "keys": keys, "locked": list(use.locked)}


def rotate(data: Path | None) -> Json:
    """Wrap every secret under the current key, a new one where the data folder keeps it.

    `{"key", "rewrapped", "forgotten": [key ids], "locked": [connection ids]}`. Raises as `status()`.
    """
    settings = settings_for(data)
    must_exist(settings)
    store = open_store(settings)
    try:
        done = store.secrets.rotate()
    finally:
        store.close()
    return {
        "key": done.key,
        "rewrapped": done.rewrapped,
        "forgotten": list(done.forgotten),
        "locked": list(done.locked),
    }
