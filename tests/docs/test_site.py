"""The documentation site: whole, in its order, and nothing of it is fetched from elsewhere."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.emulators import absent

ROOT = Path(__file__).parents[2]
BUILDER = Path(sys.prefix) / "docs/bin/zensical"


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the documents and of what builds them."""
    if not BUILDER.exists():
        absent("`make docs` installs what builds the site")
    folder = tmp_path_factory.mktemp("site")
    shutil.copytree(ROOT / "docs", folder / "docs")
    shutil.copy(ROOT / "mkdocs.yml", folder)
    return folder


def build(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([BUILDER, "build", "--strict"], cwd=folder, capture_output=True, text=True, timeout=120)


def test_every_page_is_built_and_in_the_navigation(pages: Path) -> None:
    built = build(pages)
    assert built.returncode == 0, built.stdout + built.stderr
    navigation = (pages / "site/index.html").read_text()
    for page in (pages / "docs").rglob("*.md"):
        address = str(page.relative_to(pages / "docs").with_suffix("")) + "/"
        if page.name not in ("SUMMARY.md", "index.md"):
            assert (pages / "site" / address / "index.html").exists(), f"{page} was not built"
            assert f'href="./{address}"' in navigation, f"docs/SUMMARY.md leads to no {address}: name it or its folder"


def test_no_page_asks_another_host_for_anything(pages: Path) -> None:
    built = list((pages / "site").rglob("*.html"))
    assert len(built) > 50
    for page in built:
        text = page.read_text()
        loaded = re.findall(r"<(?:script|img|iframe|source)\b[^>]*\bsrc=[\"']?([^\"' >]+)", text)
        loaded += re.findall(r"<link\b[^>]*\brel=[\"']?(?:stylesheet|preload|icon)[^>]*\bhref=[\"']?([^\"' >]+)", text)
        loaded += re.findall(r"<link\b[^>]*\bhref=[\"']?([^\"' >]+)[^>]*\brel=[\"']?(?:stylesheet|preload|icon)", text)
        assert loaded, page
        assert [address for address in loaded if re.match(r"(https?:)?//", address)] == [], page
        assert "default-src 'self';" in text, f"{page} lets its scripts fetch from anywhere"
    for style in (pages / "site").rglob("*.css"):
        assert re.findall(r"(?:@import|url\()[\"' ]*(?:https?:)?//[^\"')]+", style.read_text()) == [], style


def test_a_link_that_leads_nowhere_fails_the_build(pages: Path) -> None:
    page = pages / "docs/index.md"
    for link in ("[a page](how-to/nothing.md)", "[a heading](reference/api.md#nothing)"):
        page.write_text(page.read_text() + f"\n{link}\n")
        built = build(pages)
        assert built.returncode != 0, built.stdout
        page.write_text(page.read_text().removesuffix(f"\n{link}\n"))
