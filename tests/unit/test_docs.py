"""The documents are true to the code."""

import ast
import json
import re
import textwrap
import tomllib
from pathlib import Path
from typing import cast

import click
import pytest

from headgate.cli.commands import cli

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")])


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_between_pages_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#:]+)[)#]", page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_commands_that_a_page_names_exist_with_their_options(page: Path) -> None:
    text = page.read_text().replace("\\\n", " ")
    for line in re.findall(r"(?:`|^ *|bin/|run )headgate ([a-z]+[^`\n]*)", text, re.MULTILINE):
        command, words = cast(click.Command, cli), line.split()
        while isinstance(command, click.Group) and words and re.fullmatch(r"[a-z-]+", words[0]):
            found = command.get_command(click.Context(command), words.pop(0))
            assert found is not None, f"headgate {line}"
            command = found
        known = {name for option in command.params for name in [*option.opts, *option.secondary_opts, "--help", "-h"]}
        assert {word for word in words if re.fullmatch(r"--?[a-z][a-z-]*", word)} <= known, f"headgate {line}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_examples_are_what_they_are_in(page: Path) -> None:
    for language, text in re.findall(r"^ *```(\w+)[^\n]*\n(.*?)^ *```$", page.read_text(), re.DOTALL | re.MULTILINE):
        text = textwrap.dedent(text)
        if language == "json":
            json.loads(text if text.startswith(("{", "[")) else f"{{{text}}}")
        elif language == "toml":
            tomllib.loads(text)
        elif language == "python":
            ast.parse(text)


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
