"""The tutorial does what it says: its commands are run as they stand, and print what it shows."""

import os
import re
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators import absent

PAGES = sorted((Path(__file__).parents[2] / "docs/tutorial").glob("*.md"))
_BLOCK = re.compile(r"^```(sh|text)(?: title=\"([^\"\n]*)\")?\n(.*?)^```$", re.DOTALL | re.MULTILINE)
_UP = "until curl -sf http://127.0.0.1:8080/health/ready >health.json; do kill -0 $SERVICE; sleep 0.1; done"


@pytest.mark.parametrize("page", [page for page in PAGES if "```sh" in page.read_text()], ids=lambda page: page.stem)
def test_the_commands_print_what_the_page_shows(page: Path, tmp_path: Path) -> None:
    if shutil.which("curl") is None:
        absent("curl (apt-get install curl)")
    port = _free_port()
    script = ["set -e"]
    shown: list[str] = []  # what each block prints, where the page shows it
    for language, title, text in _BLOCK.findall(page.read_text()):
        if language == "text":
            shown[-1] = text
        elif title:  # what stays in a terminal of its own
            script += [f"{text.strip()} >service.log 2>&1 &", "SERVICE=$!", "trap 'kill $SERVICE; wait' EXIT", _UP]
        else:
            script += [text, "echo @@@"]
            shown.append("")
    assert shown, page
    ran = subprocess.run(
        ["bash", "-c", "\n".join(script).replace("8080", str(port))],
        cwd=tmp_path,
        env=os.environ | {"PATH": f"{Path(sys.prefix) / 'bin'}:{os.environ['PATH']}", "COLUMNS": "100"},
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    log = tmp_path / "service.log"
    assert ran.returncode == 0, ran.stdout + ran.stderr + (log.read_text() if log.exists() else "")
    for wanted, printed in zip(shown, ran.stdout.split("@@@\n"), strict=False):
        pattern = ".*".join(re.escape(part) for part in _spaced(wanted).split("…"))
        assert not wanted or re.fullmatch(pattern, _spaced(printed)), f"{wanted}\nis not\n{printed}"


def _spaced(text: str) -> str:
    return " ".join(text.split())


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
