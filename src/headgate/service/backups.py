"""Backups of the embedded default: all of a data folder as it was at one moment, taken while its service works.

The metadata and the lake's catalog are copied at the same moment, so that no run has landed in the one but not in the
other, except those that were just about to be noted: their workers' successors find their rows. Where the metadata is
in another database, and saved before, reconciliation sees to what has landed in between. Of the tables, the files are
copied that the catalog's copy leads to. They never change; should one be deleted before it is copied, all begins again
from another moment, with what is there already.
"""

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from headgate import __version__
from headgate.config import Settings
from headgate.errors import BadParameter, HeadgateError, TargetError
from headgate.model.backups import MANIFEST, Backup, SavedFile
from headgate.service.local import must_exist, settings_for
from headgate.store import revisions
from headgate.store.copies import copied_together
from headgate.targets.holdings import files_of, tables_in

__all__ = ["METADATA", "BackupFailed", "BackupRefused", "Tell", "back_up", "embedded", "read_backup"]

METADATA = "metadata.db"
"""The file of the metadata in the data folder, where it is not elsewhere."""

Tell = Callable[[int, int], None]
"""Is called with the bytes that are done and those of all, now and then."""

_TRIES = 5
_CHUNK = 1 << 20
_PASSING = ("scratch", "service.json")  # what the next start makes anew


class BackupRefused(BadParameter):
    """There can be no backup of this, or not there."""


class BackupFailed(HeadgateError):
    """The backup could not be made."""

    title = "Backup failed"


class _Changed(Exception):
    """A file was changed while it was copied."""


def back_up(data: Path | None, into: Path, *, since: Path | None, with_keys: bool, tell: Tell) -> Backup:
    """Copy a data folder into the folder `into`, which must be empty or not there; the service may run meanwhile.

    Metadata that is in another database is not part of it, and is to be saved before. Files that the backup `since` has
    as they are become links to it, where it is on the same disk. A backup that is broken off leaves `into` as it was.
    Raises BackupRefused, BackupFailed, MetadataMoved, NoDeployment, TargetError, Unavailable.
    """
    settings = settings_for(data)
    must_exist(settings)
    revisions(settings)  # refuses what was moved elsewhere, or is a newer Headgate's
    into, home = into.absolute(), settings.data.resolve()
    if into.resolve().is_relative_to(home):
        raise BackupRefused(f"The backup would lie in the data folder {home} itself. Choose a folder elsewhere.")
    there = into.exists()
    if there and (not into.is_dir() or any(into.iterdir())):
        raise BackupRefused(f"{into} is not an empty folder. Name one that is, or that does not exist yet.")
    earlier = read_backup(since) if since is not None else None
    try:
        into.mkdir(mode=0o700, parents=True, exist_ok=True)
        into.chmod(0o700)
        saving = _Saving(settings, into, (since.absolute(), earlier.files) if since and earlier else None, tell)
        return saving.save(with_keys=with_keys)
    except BaseException as error:
        _empty(into, remove=not there)
        if isinstance(error, OSError):
            raise BackupFailed(f"The backup could not be written: {error}. Nothing of it was left.") from error
        raise


def read_backup(folder: Path) -> Backup:
    """What the backup in `folder` says of itself. Raises BackupRefused."""
    try:
        return Backup.of(json.loads((folder / MANIFEST).read_bytes()))
    except FileNotFoundError:
        raise BackupRefused(f"{folder} holds no backup, or one that was broken off: there is no {MANIFEST}.") from None
    except (OSError, ValueError) as error:
        raise BackupRefused(f"{folder / MANIFEST} cannot be read: {error}.") from None


def embedded(settings: Settings) -> bool:
    """Whether the metadata lies in the data folder."""
    return settings.metadata == f"sqlite:///{settings.data.resolve() / METADATA}"


class _Saving:
    """A backup that is being written."""

    def __init__(
        self, settings: Settings, into: Path, earlier: tuple[Path, Mapping[str, SavedFile]] | None, tell: Tell
    ) -> None:
        self._settings = settings
        self._home = settings.data.resolve()
        self._embedded = embedded(settings)
        self._into = into
        self._earlier = earlier
        self._tell = tell
        self._files: dict[str, SavedFile] = {}
        self._folders: dict[str, int] = {}
        self._left_out: list[str] = []
        self._tables: list[Path] = []  # the files that describe their states
        self._done = self._total = 0  # bytes, without the databases

    def save(self, *, with_keys: bool) -> Backup:
        """Write all of it, its manifest last."""
        self._left_out += self._others()
        lake, moment = self._at_one_moment(with_keys=with_keys)
        for name in set(self._files) - lake:  # what only an earlier moment had
            (self._into / name).unlink()
            del self._files[name]
        beside = [*self._beside()]
        self._total += sum(_size(path) for path in beside)
        for path in beside:
            with suppress(FileNotFoundError):  # deleted since it was listed
                self._take_changing(path)
        backup = Backup(
            made_at=moment.isoformat(timespec="milliseconds"),
            version=__version__,
            data=str(self._home),
            metadata=self._embedded,
            keys=with_keys,
            files=dict(sorted(self._files.items())),
            folders=dict(sorted(self._folders.items())),
            left_out=tuple(self._left_out),
        )
        os.sync()
        draft = self._into / f".{MANIFEST}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
            json.dump(backup.wire(), file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        draft.rename(self._into / MANIFEST)
        os.sync()
        return backup

    def _at_one_moment(self, *, with_keys: bool) -> tuple[set[str], datetime]:
        """Take the databases, the keys and the tables' files; their paths, and when it was."""
        gone: Exception | None = None
        for _ in range(_TRIES):
            moment = datetime.now(UTC)
            try:
                return {*self._databases(), *(self._keys() if with_keys else ()), *self._lake()}, moment
            except (FileNotFoundError, _Changed) as error:
                gone = error
        raise BackupFailed(
            f"A file that the data folder needs was missing in {_TRIES} tries: {gone}. If a table of the lake lists "
            "it, the table is damaged. Nothing of the backup was left."
        )

    def _databases(self) -> Iterator[str]:
        folder, catalog = self._into / "warehouse", self._settings.warehouse / "catalog.db"
        self._folder("warehouse")
        copied_together(catalog, self._home / METADATA if self._embedded else None, folder)
        if self._embedded:
            (folder / METADATA).replace(self._into / METADATA)
        for name in (METADATA, "warehouse/catalog.db"):
            if (self._into / name).exists():
                self._files[name] = _saved(self._into / name, (self._home / name).stat())
                yield name

    def _keys(self) -> Iterator[str]:
        for path in sorted(self._settings.keys.iterdir()):
            if path.is_file() and not path.name.startswith("."):  # drafts and locks
                name = self._name(path)
                self._files.pop(name, None)
                (self._into / name).unlink(missing_ok=True)
                self._take(path)
                yield name

    def _lake(self) -> Iterator[str]:
        catalog = self._into / "warehouse" / "catalog.db"
        self._tables = sorted(tables_in(catalog).values()) if catalog.exists() else []
        listed = [path for state in self._tables for path in dict.fromkeys(files_of(state))]
        self._done, self._total = 0, sum(path.stat().st_size for path in listed)
        for path in listed:
            self._take(path)
            yield self._name(path)

    def _beside(self) -> Iterator[Path]:
        """The files of the landing zones, and the records that runs rejected."""
        zones = self._settings.landing_folder
        inside = zones is not None and zones.is_relative_to(self._home)
        rejects = [state.parent.parent / "rejects" for state in self._tables]
        for folder in (*([zones] if zones is not None and inside else []), *rejects):
            for path in (folder, *sorted(folder.rglob("*"))):
                if path.is_symlink():
                    self._left_out.append(self._name(path))
                elif path.is_dir():
                    self._folder(self._name(path))
                elif path.is_file():
                    yield path

    def _others(self) -> Iterator[str]:
        """What is not saved, but for what passes by itself."""
        known = {"warehouse", "keys", *_PASSING, *(f"{METADATA}{end}" for end in ("", "-wal", "-shm"))}
        if not self._embedded:
            yield "the metadata, which HEADGATE_METADATA_URL says where to find"
        zones = self._settings.landing_folder
        if zones is None:
            yield f"the landing zones in {self._settings.landing_zone}"
        elif not zones.is_relative_to(self._home):
            yield f"the landing zones in {zones}"
        else:
            known.add(zones.relative_to(self._home).parts[0])
        for path in sorted(self._home.iterdir()):
            if path.name not in known and path != self._settings.scratch_folder:
                yield path.name

    def _take_changing(self, path: Path) -> None:
        """Take a file that others may be writing, once it stays as it is for long enough to be read."""
        for _ in range(_TRIES):
            with suppress(_Changed):
                self._take(path)
                return
        self._left_out.append(f"{self._name(path)}, which kept changing")

    def _take(self, path: Path) -> None:
        """Copy a file, or link it to the earlier backup's. Raises FileNotFoundError, _Changed."""
        name = self._name(path)
        if name not in self._files:
            about = path.stat()
            self._folder(str(Path(name).parent))
            self._files[name] = self._linked(name, about) or _copied(path, about, self._into / name)
        self._done += self._files[name].size
        self._tell(self._done, self._total)

    def _linked(self, name: str, about: os.stat_result) -> SavedFile | None:
        """The earlier backup's file, when it is the same and on this disk."""
        if self._earlier is None or name.startswith("keys/"):
            return None
        folder, files = self._earlier
        found = files.get(name)
        if found is None or (found.size, found.modified_ns) != (about.st_size, about.st_mtime_ns):
            return None
        try:
            if (folder / name).stat().st_size != found.size:
                return None
            os.link(folder / name, self._into / name)
        except OSError:  # on another disk, or gone
            return None
        return SavedFile(found.size, found.sha256, stat.S_IMODE(about.st_mode), found.modified_ns)

    def _folder(self, name: str) -> None:
        """Have the backup hold a folder, and those above it."""
        if name == "." or name in self._folders:
            return
        self._folder(str(Path(name).parent))
        original = self._home / name
        self._folders[name] = stat.S_IMODE(original.stat().st_mode) if original.exists() else 0o700
        (self._into / name).mkdir(mode=0o700, exist_ok=True)

    def _name(self, path: Path) -> str:
        """Its path within the data folder. Raises TargetError for a file that lies elsewhere."""
        if not path.is_relative_to(self._home):
            raise TargetError(
                f"A table lists the file {path}, which is not in the data folder {self._home}, so that a backup of "
                "that is not whole. Have the engine that added the file write it below the table's folder."
            )
        return str(path.relative_to(self._home))


def _saved(copy: Path, about: os.stat_result) -> SavedFile:
    """What is to be said of a copy that is there."""
    with copy.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    os.utime(copy, ns=(about.st_mtime_ns, about.st_mtime_ns))
    return SavedFile(copy.stat().st_size, digest, stat.S_IMODE(about.st_mode), about.st_mtime_ns)


def _copied(path: Path, about: os.stat_result, target: Path) -> SavedFile:
    """Copy a file in one go with its digest. Raises _Changed, and then there is no copy."""
    digest, size = hashlib.sha256(), 0
    with (
        path.open("rb") as source,
        os.fdopen(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as copy,
    ):
        while chunk := source.read(_CHUNK):
            digest.update(chunk)
            copy.write(chunk)
            size += len(chunk)
        after = os.fstat(source.fileno())
    if (size, after.st_size, after.st_mtime_ns) != (about.st_size, about.st_size, about.st_mtime_ns):
        target.unlink()
        raise _Changed(f"{path} was being written")
    os.utime(target, ns=(about.st_mtime_ns, about.st_mtime_ns))
    return SavedFile(size, digest.hexdigest(), stat.S_IMODE(about.st_mode), about.st_mtime_ns)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:  # deleted since it was listed
        return 0


def _empty(folder: Path, *, remove: bool) -> None:
    """Take away what was written into a folder that was empty, and the folder if it was made."""
    with suppress(OSError):
        for path in folder.iterdir():
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)
        if remove:
            folder.rmdir()
