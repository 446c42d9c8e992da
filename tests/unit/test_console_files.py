"""The console's files: what is vendored is what was fetched, and nothing leaves the machine or runs inline."""

import gzip
import hashlib
import json
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from headgate.console import assets

_CONSOLE = Path(__file__).parents[2] / "src" / "headgate" / "console"
_VENDOR = _CONSOLE / "static" / "vendor"
_TEMPLATES = sorted((_CONSOLE / "templates").rglob("*.html"))
_OWN = sorted(path for path in (_CONSOLE / "static").rglob("*") if path.is_file() and _VENDOR not in path.parents)
_INLINE = re.compile(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon[a-z]+=|hx-on|javascript:|=.js:", re.IGNORECASE)
_OUTSIDE = re.compile(r"(?:https?:)?//[a-z0-9]", re.IGNORECASE)


def test_vendored_files_are_those_that_were_fetched() -> None:
    listed: dict[str, str] = {}
    for part in json.loads((_VENDOR / "vendor.json").read_text()):
        assert {"name", "version", "licence", "package", "files"} == set(part)
        assert part["licence"] in ("0BSD", "MIT")
        assert any(name.endswith("/LICENSE") for name in part["files"])
        listed |= part["files"]
    found = {
        path.relative_to(_VENDOR).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in _VENDOR.rglob("*")
        if path.is_file() and path.name != "vendor.json"
    }
    assert found == listed


@pytest.mark.parametrize("path", _TEMPLATES, ids=lambda path: path.name)
def test_no_template_has_inline_code_or_names_another_host(path: Path) -> None:
    text = path.read_text()
    assert not _INLINE.search(text)
    assert not _OUTSIDE.search(text)
    for trigger in re.findall(r'hx-trigger="([^"]*)"', text):  # a filter in it would be evaluated as a script
        assert not re.search(r"(^|[ ,a-z])\[", trigger.replace("input[type", "input type"))


@pytest.mark.parametrize("path", _OWN, ids=lambda path: path.name)
def test_no_file_of_ours_names_another_host(path: Path) -> None:
    text = path.read_text().replace("http://www.w3.org/2000/svg", "")
    assert not re.search(r"https?://", text)


def test_the_first_page_takes_less_than_100_kilobytes() -> None:
    layout = (_CONSOLE / "templates" / "layout.html").read_text()
    names = set(re.findall(r"static\('([^']+)'\)", layout)) | {
        f"vendor/uplot-1.6.32/{name}" for name in ("uPlot.iife.min.js", "uPlot.min.css")
    }
    sizes = {name: len(gzip.compress((assets.ROOT / name).read_bytes())) for name in names}
    assert sum(sizes.values()) < 85_000, sizes  # the rest is for the page itself
    assert len((assets.ROOT / "console.css").read_text().splitlines()) <= 300


def test_the_wheel_has_templates_and_assets(tmp_path: Path) -> None:
    root = _CONSOLE.parents[2]
    command = [
        sys.executable,
        "-c",
        "import sys, hatchling.build as b; print(b.build_wheel(sys.argv[1]))",
        str(tmp_path),
    ]
    name = subprocess.run(command, cwd=root, check=True, capture_output=True, text=True).stdout.split()[-1]
    with zipfile.ZipFile(tmp_path / name) as wheel:
        packed = set(wheel.namelist())
    files = [path for path in _CONSOLE.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    assert {path.relative_to(root / "src").as_posix() for path in files} <= packed
