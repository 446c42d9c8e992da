"""What an operator does with the secrets of a data folder, while its service serves or not."""

from pathlib import Path

from headgate.model.runs import Json
from headgate.service.local import opened

__all__ = ["rotate", "status"]


def status(data: Path | None) -> Json:
    """Which key holds how many secrets: `{"current", "keys": [{"id","secrets"}], "locked": [connection ids]}`.

    Raises NoDeployment, SecretsKeyUnusable, Unavailable.
    """
    with opened(data) as store:
        use = store.secrets.use()
    keys = [{"id": id_, "secrets": count} for id_, count in use.secrets.items()]
    return {"current": use.current, "keys": keys, "locked": list(use.locked)}


def rotate(data: Path | None) -> Json:
    """Wrap every secret under the current key, a new one where the data folder keeps it.

    `{"key", "rewrapped", "forgotten": [key ids], "locked": [connection ids]}`. Raises as `status()`.
    """
    with opened(data) as store:
        done = store.secrets.rotate()
    return {
        "key": done.key,
        "rewrapped": done.rewrapped,
        "forgotten": list(done.forgotten),
        "locked": list(done.locked),
    }
