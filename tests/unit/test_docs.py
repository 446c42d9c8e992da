"""The documents are true to the code."""

import re
from pathlib import Path
from typing import cast

import click
import pytest

from headgate.api import create_app
from headgate.cli.commands import cli
from headgate.config import Settings
from headgate.service.service import Service
from headgate.sources.sql import duckdb_file, postgres_types, postgres_wire, sqlite_types
from headgate.sources.sql.mysql import dialect as mysql_dialect
from headgate.sources.sql.odbc import dialect as odbc_dialect

BASES = (  # of the services whose addresses docs/reference/api.md gives without them
    "/data/foundation/flowservice",
    "/data/foundation/catalog",
    "/data/foundation/import",
    "/data/foundation/export",
    "/data/foundation/schemaregistry",
    "/data/foundation/connectors",
    "/data/foundation/conversion",
    "/data/foundation/sandbox-management",
    "/data/foundation/access-control",
    "/data/infrastructure/observability/insights",
)
ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name: str) -> None:
    assert f"`HEADGATE_{name.upper()}`" in (ROOT / "docs/reference/settings.md").read_text()


@pytest.mark.parametrize(
    "module",
    [duckdb_file, mysql_dialect, odbc_dialect, postgres_types, postgres_wire, sqlite_types],
    ids=lambda module: module.__name__.split(".")[-1],
)
def test_the_type_tables_are_those_of_the_code(module: object) -> None:
    rows = [line for line in (module.__doc__ or "").splitlines() if line.startswith("|")]
    assert len(rows) > 10
    assert "\n".join(rows) in (ROOT / "docs/reference/types.md").read_text()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist(page: Path) -> None:
    for line in re.findall(r"(?:`|^|bin/|run )headgate ([a-z]+(?: [a-z]+)?)", page.read_text(), re.MULTILINE):
        command: click.Command | None = cli
        for word in line.split():
            if isinstance(command, click.Group):
                command = command.get_command(click.Context(command), word)
                assert command is not None, f"headgate {line}"


def test_every_page_is_in_the_navigation() -> None:
    order = (ROOT / "docs/SUMMARY.md").read_text()
    listed = re.findall(r"^ *\* (?:\[[^]]*\]\()?([^)\s]+\.md)\)?$", order, re.MULTILINE)
    named = {str(path.relative_to(ROOT / "docs")) for entry in listed for path in (ROOT / "docs").glob(entry)}
    pages = {str(page.relative_to(ROOT / "docs")) for page in PAGES if page.is_relative_to(ROOT / "docs")}
    assert pages - named - {"SUMMARY.md"} == set(), "docs/SUMMARY.md leads to none of these: name it or its folder"
    assert [entry for entry in listed if "*" not in entry and entry not in pages] == []


def test_every_decision_fits_on_a_page() -> None:
    for page in ROOT.glob("docs/adr/*.md"):
        assert len(page.read_text().splitlines()) <= 40, page.name


def test_the_reference_lists_every_route_with_its_permission() -> None:
    page = (ROOT / "docs/reference/api.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z]+ [^`]+)` \| ([^|]+) \|", page, re.MULTILINE))
    described = create_app(cast(Service, None)).openapi()["paths"]
    assert listed == {
        (f"{method.upper()} {_short(path)}", about.get("x-permission", "none"))
        for path, methods in described.items()
        for method, about in methods.items()
    }


def _short(path: str) -> str:
    base = next((base for base in BASES if path.startswith(base)), "")
    return path.removeprefix(base) or "/"
