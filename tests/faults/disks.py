"""Disks that are small enough to fill."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.matrix import absent


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A folder on a file system of its own of `size`, such as 24m."""
    if os.geteuid() != 0:
        absent("only root may mount a small file system")
    folder.mkdir(parents=True, exist_ok=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        absent(f"no small file system can be mounted here: {mounted.stderr.strip()}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
