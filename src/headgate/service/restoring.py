"""Restoring a backup of the embedded default into an empty data folder."""

import hashlib
import os
import shutil
from pathlib import Path

from headgate.config import Settings
from headgate.errors import HeadgateError
from headgate.model.backups import Backup
from headgate.service.backups import METADATA, BackupRefused, Tell, embedded, read_backup
from headgate.service.local import settings_for

__all__ = ["BackupDamaged", "restore"]

_CHUNK = 1 << 20
_SHOWN = 5


class BackupDamaged(HeadgateError):
    """Files of the backup are not what they were when it was made."""

    title = "Backup damaged"


def restore(data: Path | None, source: Path, *, dry_run: bool, tell: Tell) -> Backup:
    """Have the data folder, which must be empty, hold what the backup in `source` does, each file held to its digest.

    All is there at the end, or nothing. With `dry_run` the files are read and judged only. Of a backup without keys,
    the folder must hold the `keys` already. Raises BackupRefused, BackupDamaged, BadSetting.
    """
    settings, backup = settings_for(data), read_backup(source)
    _see_fit(settings, backup)
    home = settings.data.resolve()
    made = not home.exists()
    draft = home / ".restoring"
    try:
        if not dry_run:
            draft.mkdir(mode=0o700, parents=True)
            for name in sorted(backup.folders):
                (draft / name).mkdir(mode=0o700)
        _copy_all(source, backup, None if dry_run else draft, tell)
        if not dry_run:
            for name, mode in backup.folders.items():
                (draft / name).chmod(mode)
            os.sync()
            home.chmod(0o700)
            # The metadata last: before it is there, nothing takes this for a data folder.
            for path in sorted(draft.iterdir(), key=lambda each: each.name == METADATA):
                path.rename(home / path.name)
            draft.rmdir()
            os.sync()
    except BaseException as error:
        shutil.rmtree(draft, ignore_errors=True)
        if made and home.exists() and not any(home.iterdir()):
            home.rmdir()
        if isinstance(error, OSError):
            raise BackupDamaged(f"The backup could not be restored: {error}.") from error
        raise
    return backup


def _see_fit(settings: Settings, backup: Backup) -> None:
    home = settings.data.resolve()
    if str(home) != backup.data:
        raise BackupRefused(
            f"The backup is of {backup.data}, and the tables in it name their files by that path; {home} is another. "
            "Restore it there: name that folder by --data, on this machine or another, or mount it there."
        )
    if backup.metadata and not embedded(settings):
        raise BackupRefused(
            "The backup holds the metadata of a data folder, but HEADGATE_METADATA_URL names another database. Take "
            "that setting away to restore it."
        )
    if embedded(settings) and not backup.metadata:
        raise BackupRefused(
            "The backup holds no metadata, which was in a database of its own. Restore that by its own tools first, "
            "and name it by HEADGATE_METADATA_URL."
        )
    found = {path.name for path in home.iterdir()} if home.exists() else set()
    if not backup.keys:
        if "keys" not in found:
            raise BackupRefused(
                f"The backup was made without keys, and {home / 'keys'} is not there. Put the keys there first, with "
                "mode 0700: without them no secret of a connection can be read, and no client's token holds."
            )
        found.discard("keys")
    if found:
        raise BackupRefused(f"{home} is not empty: it holds {', '.join(sorted(found)[:_SHOWN])}. Move that away first.")


def _copy_all(source: Path, backup: Backup, target: Path | None, tell: Tell) -> None:
    """Read every file of a backup, and write it below `target` if that is given. Raises BackupDamaged."""
    damaged: list[str] = []
    done, total = 0, backup.size
    for path, file in backup.files.items():
        digest, size = hashlib.sha256(), 0
        try:
            with (source / path).open("rb") as original:
                copy = _created(target / path) if target is not None else None
                try:
                    while chunk := original.read(_CHUNK):
                        digest.update(chunk)
                        size += len(chunk)
                        if copy is not None:
                            os.write(copy, chunk)
                finally:
                    if copy is not None:
                        os.close(copy)
        except FileNotFoundError:
            damaged.append(f"{path} is missing")
            continue
        if size != file.size or digest.hexdigest() != file.sha256:
            damaged.append(f"{path} has another content")
        elif target is not None:
            (target / path).chmod(file.mode)
            os.utime(target / path, ns=(file.modified_ns, file.modified_ns))
        done += size
        tell(done, total)
    if damaged:
        more = f", and {len(damaged) - _SHOWN} more" if len(damaged) > _SHOWN else ""
        raise BackupDamaged(
            f"Files of the backup {source} are damaged: {'; '.join(damaged[:_SHOWN])}{more}. "
            "Nothing was restored. Use another backup, or a copy of this one."
        )


def _created(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
