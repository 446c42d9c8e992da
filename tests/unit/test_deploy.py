"""What deploys the service names only what there is: commands, settings, addresses, versions."""

import re
import shlex
from pathlib import Path
from typing import Any, cast

import click
import pytest
import yaml

from headgate import __version__
from headgate.cli.commands import cli
from headgate.config import Settings

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
FILES = sorted(path for path in DEPLOY.rglob("*") if path.is_file() and "secrets" not in path.parts)
OF_COMPOSE = {"HEADGATE_IMAGE", "HEADGATE_PORT"}


def commands() -> list[str]:
    """Every command line of headgate that a file in deploy/ runs."""
    compose = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())
    lines = [" ".join(service["command"]) for service in compose["services"].values() if "command" in service]
    for path in FILES:
        text = path.read_text().replace("\\\n", " ")
        if path.suffix == ".service":
            lines += re.findall(r"^ExecStart=/opt/headgate/bin/headgate (.+)$", text, re.MULTILINE)
        elif path.parent.name == "templates":
            lines += [
                " ".join(re.split(r", *", found)) for found in re.findall(r"^ +args: \[(.+)\]$", text, re.MULTILINE)
            ]
            lines += re.findall(r"-- headgate (.+)$", text, re.MULTILINE)
        elif path.name == "smoke":
            lines += re.findall(r"(?:^ *|\$\()headgate ([a-z][^|<)\n]*?)(?: \|\|.*)?(?: <.*)?$", text, re.MULTILINE)
            lines += re.findall(r"\$\(headgate ([a-z]+)", text)
            lines += re.findall(r"exec api headgate ([^\"\n]+)\"", text)
    return lines


def test_commands_that_are_run_exist_with_their_options() -> None:
    lines = commands()
    assert len(lines) > 12
    for line in lines:
        words = shlex.split(line)
        command = cast(click.Command, cli)
        while isinstance(command, click.Group):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, line
            command = found
        known = {name for option in command.params for name in [*option.opts, *option.secondary_opts]}
        assert {word for word in words if word.startswith("--")} <= known, line


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(DEPLOY)))
def test_settings_that_are_named_exist(path: Path) -> None:
    known = {f"HEADGATE_{name.upper()}" for name in Settings.model_fields}
    assert set(re.findall(r"\bHEADGATE_[A-Z_]+[A-Z]\b", path.read_text())) - known - OF_COMPOSE == set()


def test_addresses_that_are_asked_for_health_are_routes() -> None:
    asked = {found for path in FILES for found in re.findall(r"/health/\w+", path.read_text())}
    assert asked == {"/health/live", "/health/ready"}
    assert all(f"`GET {address}`" in (ROOT / "docs/reference/api.md").read_text() for address in asked)


def test_the_image_holds_what_the_tests_ran_with() -> None:
    pins = {
        name: dict(re.findall(r"^([\w.-]+)==(\S+)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE))
        for name in ("dev", "image", "wheel")
    }
    assert pins["image"].items() <= pins["dev"].items()
    assert pins["wheel"].items() <= pins["dev"].items()
    assert "hatchling" in pins["wheel"]
    assert {"obstore", "paramiko", "pymysql", "duckdb"} <= pins["image"].keys()


def test_containers_hold_no_secret_in_their_environment_and_write_to_volumes_only() -> None:
    services: dict[str, Any] = yaml.safe_load((DEPLOY / "compose/compose.yaml").read_text())["services"]
    for name, service in services.items():
        named = {
            variable
            for variable in service.get("environment", {})
            if re.search("PASSWORD|SECRET|KEY|TOKEN|METADATA", variable)
        }
        assert named <= {"POSTGRES_PASSWORD_FILE"}, name
        if name != "postgres":
            assert service["read_only"] is True
            assert service["cap_drop"] == ["ALL"]


def test_the_chart_is_of_this_version() -> None:
    assert yaml.safe_load((DEPLOY / "helm/headgate/Chart.yaml").read_text())["appVersion"] == __version__
