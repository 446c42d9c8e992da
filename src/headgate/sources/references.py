"""References: a secret parameter that says where the secret is, `env:NAME` or `file:PATH`, instead of being it.

A reference is stored and shown as it is; what it leads to is read when a source is opened, and kept nowhere.
Whoever makes a connection also chooses the host that the secret is sent to. With several organisations, one may
therefore only name what is meant for it: variables `<prefix><organisation>_…` and files below
`<folder>/<organisation>/`.
"""

import os
import re
import stat
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from headgate.config import Settings
from headgate.errors import ReferenceRefused
from headgate.model.scope import Tenancy

__all__ = ["is_reference", "resolved"]

_LONGEST = 65_536  # bytes of a file; a key or a connection string is far below
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OWN = "HEADGATE_"


def is_reference(value: object) -> bool:
    """Whether a secret parameter's value is a reference, which may be shown."""
    return isinstance(value, str) and value.startswith(("env:", "file:"))


def resolved(
    params: Mapping[str, Any], secrets: Collection[str], settings: Settings, tenancy: Tenancy
) -> dict[str, Any]:
    """`params` with what their references lead to, where the parameter is one of `secrets`. Raises ReferenceRefused."""
    return {
        name: _followed(value, settings, tenancy) if name in secrets and is_reference(value) else value
        for name, value in params.items()
    }


def _followed(reference: str, settings: Settings, tenancy: Tenancy) -> str:
    kind, _, place = reference.partition(":")
    return _variable(place, settings, tenancy) if kind == "env" else _file(place, settings, tenancy)


def _variable(name: str, settings: Settings, tenancy: Tenancy) -> str:
    prefix = settings.secret_env_prefix
    if not _NAME.fullmatch(name):
        raise ReferenceRefused(f"env:{name[:80]} names no environment variable.", reference=f"env:{name[:80]}")
    needed = f"{prefix}{tenancy.variables}" if tenancy.shared else ""
    if not name.startswith(needed) or (name.startswith(_OWN) and not (prefix and name.startswith(prefix))):
        raise ReferenceRefused(
            f"env:{name} is not open to connections"
            + (
                f"; the variables of this organisation begin with {needed}." if needed else ": it is the service's own."
            ),
            reference=f"env:{name}",
        )
    value = os.environ.get(name)
    if not value:
        raise ReferenceRefused(f"env:{name} is not set, or empty, where this service runs.", reference=f"env:{name}")
    return value


def _file(path: str, settings: Settings, tenancy: Tenancy) -> str:
    reference = f"file:{path[:200]}"
    if settings.secret_files is None:
        raise ReferenceRefused(f"{reference} is refused: no folder is named by HEADGATE_SECRET_FILES.")
    root = settings.secret_files.expanduser().resolve()
    folder = root / tenancy.folder if tenancy.shared else root
    real = Path(os.path.realpath(folder / path)) if path and "\0" not in path else folder
    inside = real != folder and real.is_relative_to(folder.resolve())
    if not inside or any(real.is_relative_to(private) for private in settings.private if private != root):
        raise ReferenceRefused(f"{reference} lies outside the folder that connections may name.", reference=reference)
    try:
        # Neither following a link that was put there since, nor waiting for a pipe's other end.
        descriptor = os.open(real, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise ReferenceRefused(f"{reference} is no file.", reference=reference)
            content = file.read(_LONGEST + 1)
    except OSError as error:
        raise ReferenceRefused(f"{reference} cannot be read: {error.strerror}.", reference=reference) from error
    if not content.strip() or len(content) > _LONGEST:
        raise ReferenceRefused(f"{reference} is empty, or longer than {_LONGEST} bytes.", reference=reference)
    try:
        return content.decode().rstrip("\r\n")
    except UnicodeDecodeError:
        raise ReferenceRefused(f"{reference} is not UTF-8 text.", reference=reference) from None
