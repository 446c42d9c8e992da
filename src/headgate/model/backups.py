"""What a backup says of itself, in its file `backup.json`: which files it holds, and of what."""

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import PurePosixPath

from headgate.model.runs import Json

__all__ = ["MANIFEST", "Backup", "SavedFile"]

MANIFEST = "backup.json"
_FORMAT = 1
_SHA256 = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class SavedFile:
    """A file of a data folder: its size in bytes, and the mode and the time of change that it gets back."""

    size: int
    sha256: str
    mode: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Backup:
    """A data folder at one moment. Paths are relative to it; `data` is where it was, `folders` have their modes.

    `metadata` and `keys` say whether it holds them; `left_out` names what else lies in the data folder, or belongs to
    it by a setting, and is not held.
    """

    made_at: str
    version: str
    data: str
    metadata: bool
    keys: bool
    files: Mapping[str, SavedFile]
    folders: Mapping[str, int]
    left_out: tuple[str, ...] = ()

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(file.size for file in self.files.values())

    def wire(self) -> Json:
        """The content of `backup.json`."""
        return {
            "format": _FORMAT,
            "madeAt": self.made_at,
            "headgate": self.version,
            "data": self.data,
            "metadata": self.metadata,
            "keys": self.keys,
            "leftOut": [*self.left_out],
            "folders": [{"path": path, "mode": f"{mode:04o}"} for path, mode in self.folders.items()],
            "files": [{"path": path, **asdict(file), "mode": f"{file.mode:04o}"} for path, file in self.files.items()],
        }

    @classmethod
    def of(cls, wire: Json) -> "Backup":
        """The backup that such content tells of. Raises ValueError saying what is wrong with it."""
        try:
            if wire["format"] != _FORMAT:
                raise ValueError(f"it has the form {wire['format']!r}, and this Headgate knows {_FORMAT}")
            files = {
                _inside(each["path"]): SavedFile(
                    int(each["size"]), each["sha256"], _mode(each["mode"]), int(each["modified_ns"])
                )
                for each in wire["files"]
            }
            folders = {_inside(each["path"]): _mode(each["mode"]) for each in wire["folders"]}
            made_at, version, data = (str(wire[name]) for name in ("madeAt", "headgate", "data"))
            metadata, keys = wire["metadata"] is True, wire["keys"] is True
            left_out = tuple(wire["leftOut"])
        except (KeyError, TypeError) as error:
            raise ValueError(f"a member is missing or of another type: {error}") from None
        for path, file in files.items():
            if not _SHA256.fullmatch(file.sha256):
                raise ValueError(f"the sha256 of {path} is none")
        return cls(made_at, version, data, metadata, keys, files, folders, left_out)


def _inside(path: str) -> str:
    """A path that stays within the folder it is relative to."""
    parts = PurePosixPath(path).parts
    if not parts or path.startswith("/") or ".." in parts:
        raise ValueError(f"{path!r} is not a path within the folder")
    return path


def _mode(text: str) -> int:
    return int(text, 8) & 0o7777
