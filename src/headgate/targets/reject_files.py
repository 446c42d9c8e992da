"""The records that a run rejected, as files beside its table's data.

A split's rejects are staged next to its data file, under the same name. Before a run commits, or fails for having too
many of them, they are published below `<table>/rejects/<run id>/<fence>/`, one file of lines of JSON for each split
and kind. No table lists them; the newest fence's are those of the attempt that ended the run.
"""

import json
import shutil
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from headgate.errors import TargetError
from headgate.rejects import Reject, Rejects

if TYPE_CHECKING:
    from headgate.targets.iceberg import LakeTable

__all__ = ["expire", "publish", "published", "stage", "withdraw"]


def stage(table: "LakeTable", data_file: Path, rejects: Rejects) -> None:
    """Write what a split rejected next to its data file. Raises TargetError."""
    with _writing(table), data_file.with_suffix(".rejects").open("w", encoding="utf-8") as file:
        for reject in rejects.kept:
            file.write(json.dumps(asdict(reject), ensure_ascii=False) + "\n")


def publish(table: "LakeTable", run_id: str, fence: int, data_files: Iterable[Path]) -> None:
    """Make readable what the splits of these data files rejected, in place of what an earlier attempt did.

    Raises TargetError.
    """
    folder = _folder(table, run_id) / str(fence)
    for earlier in _fences(folder.parent):
        if earlier <= fence:
            shutil.rmtree(folder.with_name(str(earlier)), ignore_errors=True)
    with _writing(table):
        _publish(folder, data_files)


def _publish(folder: Path, data_files: Iterable[Path]) -> None:
    for number, data_file in enumerate(sorted(data_files)):
        folder.mkdir(parents=True, exist_ok=True)
        rejects = [*_read(data_file.with_suffix(".rejects"))]
        for kind, whole in (("parsing", False), ("conversion", True)):
            path = folder / f"{kind}_errors_{number}.json"
            lines = [_line(reject, path.name) for reject in rejects if (reject.record is not None) is whole]
            if lines:
                path.write_text("".join(lines), encoding="utf-8")


def published(table: "LakeTable", run_id: str) -> tuple[Path, ...]:
    """The published files of a run, by name; none of a run that rejected nothing."""
    folder = _folder(table, run_id)
    fences = _fences(folder)
    return tuple(sorted((folder / str(max(fences))).iterdir())) if fences else ()


def expire(table: "LakeTable", seconds: float) -> int:
    """Delete what runs published longer ago than `seconds`; of how many runs that was. Raises TargetError."""
    expired = 0
    with _writing(table):
        folders = [*(table.location / "rejects").iterdir()] if (table.location / "rejects").exists() else []
        for folder in folders:
            newest = max((path.stat().st_mtime for path in (folder, *folder.rglob("*"))), default=0.0)
            if newest < time.time() - seconds:
                shutil.rmtree(folder)
                expired += 1
    return expired


def withdraw(table: "LakeTable", run_id: str, *, fence: int | None = None) -> None:
    """Take away what a run published, or what it did under `fence`."""
    folder = _folder(table, run_id)
    shutil.rmtree(folder if fence is None else folder / str(fence), ignore_errors=True)
    with suppress(OSError):  # other fences' are there, or nothing was
        folder.rmdir()


@contextmanager
def _writing(table: "LakeTable") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise TargetError(f"The rejected records of the table {table.name} cannot be written: {error}") from error


def _folder(table: "LakeTable", run_id: str) -> Path:
    return table.location / "rejects" / run_id


def _fences(folder: Path) -> list[int]:
    return [int(path.name) for path in folder.iterdir() if path.name.isdigit()] if folder.exists() else []


def _read(staged: Path) -> Iterator[Reject]:
    with staged.open(encoding="utf-8") as lines:
        for line in lines:
            yield Reject(**json.loads(line))


def _line(reject: Reject, name: str) -> str:
    """A record in the wire's shape: its own columns or its text, then what is wrong with it and where it was."""
    about = {"_errors": [reject.error], "_filename": name}
    told = json.dumps(about, ensure_ascii=False)
    if reject.record is not None:
        columns = reject.record.strip()[:-1].rstrip()
        return f"{columns}{', ' if columns != '{' else ''}{told[1:]}\n"
    return json.dumps({"_corrupt_record": reject.text} | about, ensure_ascii=False) + "\n"
