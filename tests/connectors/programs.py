"""Registering connectors for a test, and what is left of them."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import psutil

from headgate.config import Settings
from headgate.model.scope import Tenancy
from headgate.sources import Source, connection_specs, open_source
from tests.emulators import absent

__all__ = ["SCRIPT", "SPECS", "installed", "left", "opened", "registered"]

SCRIPT = Path(__file__).with_name("script.py")
SPECS = {spec.name: spec.id for spec in connection_specs() if spec.name in ("singer", "airbyte")}
_ENVIRONMENTS = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "headgate" / "connectors"


def registered(folder: Path, protocol: str = "singer", **entry: Any) -> Path:
    """A file that registers the script as `made`."""
    path = folder / "connectors.yaml"
    command = [sys.executable, "-I", str(SCRIPT), protocol]
    path.write_text(json.dumps({"made": {"protocol": protocol, "command": command, **entry}}))
    path.chmod(0o644)
    return path


def opened(
    folder: Path,
    config: Any = None,
    protocol: str = "singer",
    /,
    *,
    org: str = "org",
    shared: bool = False,
    **entry: Any,
) -> Source:
    """The source of a connection to the script, registered with `entry`."""
    settings = Settings(data=folder / "data", connectors=registered(folder, protocol, **entry))
    if isinstance(config, Mapping) and "records" in config:
        path = folder / "records.json"  # for what a configuration holds is masked wherever it is said
        path.write_text(json.dumps(config["records"]))
        config = {**config, "records": str(path)}
    auth = {"connector": "made", **({"config": config} if config is not None else {})}
    return open_source(SPECS[protocol], auth, settings, Tenancy(org, shared=shared))


def installed(protocol: str, program: str) -> str:
    """The path of a program of the environment that `.ci/run` installs for a protocol."""
    path = _ENVIRONMENTS / protocol / "bin" / program
    if not path.exists():
        absent(f"{program} is not installed: see what .ci/run does with requirements/{protocol}.txt")
    return str(path)


def left(folder: Path) -> Mapping[str, Any]:
    """What programs have left: processes that this one has started for them, and their folders."""
    processes = [found.cmdline() for found in psutil.Process().children(recursive=True) if _is_ours(found)]
    return {"processes": processes, "folders": [path.name for path in (folder / "data").glob("scratch/*")]}


def _is_ours(process: psutil.Process) -> bool:
    try:
        return any(str(SCRIPT) in part or "supervisor.py" in part for part in process.cmdline())
    except psutil.Error:
        return False
