"""The way into the console from a terminal."""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import httpx

from tests.acceptance.processes import Deployment

_LINK = re.compile(r"http://127\.0\.0\.1:[0-9]+/sign-in\?code=hgc_[A-Za-z0-9_-]+")


def test_a_terminal_is_given_a_link_that_signs_in_once(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    refused = deployment.cli("console", code=3)
    assert "no Headgate data" in refused
    ours, theirs = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "headgate.cli",
        "serve",
        "--port",
        "0",
        "--no-worker",
        "--data",
        str(deployment.data),
    ]
    with subprocess.Popen(command, env=deployment.environment, stdout=theirs, stderr=subprocess.DEVNULL) as process:
        try:
            os.close(theirs)
            said = ""
            while not (link := _LINK.search(said)):
                said += os.read(ours, 4096).decode()
            first = httpx.get(link[0])
            assert (first.status_code, first.headers["location"]) == (303, "/")
            assert "Overview" in httpx.get(str(first.url.join("/")), cookies=first.cookies).text
            assert httpx.get(link[0]).status_code == 400
            printed = deployment.cli("console", "--user", "local@headgate").strip()
            assert _LINK.fullmatch(printed)
            assert httpx.get(printed).status_code == 303
        finally:
            process.terminate()
            os.close(ours)
    assert "No service answers" in deployment.cli("console", code=6)
