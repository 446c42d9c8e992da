"""What the reference says is what the code says, and all of it."""

import re
from pathlib import Path

import pytest

import headgate
from headgate import errors
from headgate.config import SignInSettings
from headgate.model.webhooks import EventCode
from headgate.service.insights import _METRICS
from tests.docs.reference import PAGES, addresses, page

ROOT = Path(__file__).parents[2]
STALE = "is not what the code says: run `make reference` (python -m tests.docs.reference) and commit what it wrote"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_the_generated_parts_are_those_of_the_code(path: Path) -> None:
    if page(path) != path.read_text(encoding="utf-8"):
        pytest.fail(f"{path.relative_to(ROOT)} {STALE}", pytrace=False)


def test_every_address_is_in_a_part() -> None:
    parts = re.findall(r"<!-- generated: routes (.+?) -->", (ROOT / "docs/reference/api.md").read_text())
    bases = " ".join(parts).split()
    for path in addresses():
        assert any(f"{path}/".startswith(f"{base}/") for base in bases), (
            f"No part of docs/reference/api.md is about {path}: add one, <!-- generated: routes {path} -->."
        )


def test_every_code_is_on_the_page_of_errors() -> None:
    text = (ROOT / "docs/reference/errors.md").read_text()
    for module in Path(errors.__file__).parent.glob("[!_]*.py"):
        assert f"<!-- generated: errors {module.stem} -->" in text
    for module in (ROOT / "src/headgate").rglob("*.py"):
        for code in re.findall(r"\"([A-Z]{3,9}(?:-EXT)?-[A-Z0-9]+-[45][0-9]{2})\"", module.read_text()):
            assert f"`{code}`" in text, f"{code} of {module.relative_to(ROOT)}"


def test_every_name_of_the_client_is_on_its_page() -> None:
    text = (ROOT / "docs/reference/python.md").read_text()
    for name in {*headgate.__all__, *headgate.client.__all__} - {"__version__"}:
        assert re.search(rf"`(headgate\.)?{name}\b", text), name


def test_every_event_is_on_the_page_of_webhooks() -> None:
    text = (ROOT / "docs/how-to/webhooks.md").read_text()
    assert [code for code in EventCode if f"| `{code}` |" not in text] == []


def test_every_metric_is_on_the_page_of_datasets() -> None:
    text = (ROOT / "docs/how-to/catalog.md").read_text()
    assert [name for name in _METRICS if f"`{name}`" not in text] == []


@pytest.mark.parametrize("member", SignInSettings.model_fields)
def test_every_setting_of_a_sign_in_is_documented(member: str) -> None:
    assert f"| `{member}` |" in (ROOT / "docs/reference/settings.md").read_text()
