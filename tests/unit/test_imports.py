"""What a process holds that has nothing to do yet: the parts that are large are loaded by those who need them."""

import subprocess
import sys
from pathlib import Path

import pytest

import headgate

_LARGE = ("alembic", "duckdb", "jinja2", "psycopg", "pyarrow", "pyiceberg")


@pytest.mark.parametrize("module", ["headgate.api.server", "headgate.service.working", "headgate.cli"])
def test_large_parts_are_not_loaded_before_they_are_needed(module: str) -> None:
    code = f"import sys, {module}; print(*(name for name in {_LARGE} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == []


@pytest.mark.parametrize("arguments", [["--help"], ["flows", "create", "--help"]], ids=" ".join)
def test_help_loads_nothing_that_is_slow_to_load(arguments: list[str]) -> None:
    slow = (*_LARGE, "fastapi", "httpx", "pydantic", "rich", "sqlalchemy", "yaml")
    code = (
        f"import sys\nfrom headgate.cli import main\nmain({arguments})\n"
        f"print(*(name for name in {slow} if name in sys.modules), file=sys.stderr)"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.startswith("Usage: headgate")
    assert found.stderr.split() == []


def test_a_source_that_is_only_opened_does_not_load_the_engine() -> None:
    code = "import sys, headgate.sources.sql.postgres; print('duckdb' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.split() == ["False"]


def test_the_package_loads_its_client_when_it_is_asked_for() -> None:
    code = "import sys, headgate; print([name for name in sys.modules if name.startswith(('headgate.', 'httpx'))])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
    assert {name for name in headgate.__all__ if getattr(headgate, name) is not None} == set(dir(headgate))
    with pytest.raises(AttributeError, match="no attribute 'Nothing'"):
        headgate.Nothing  # noqa: B018


def test_two_threads_come_to_the_iceberg_library_at_once(tmp_path: Path) -> None:
    code = (
        "import sys\nfrom pathlib import Path\nfrom threading import Barrier\n"
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import pydantic, sqlalchemy, pyarrow\nfrom headgate import targets\n"
        "lake, both = targets.Lake(Path(sys.argv[1])), Barrier(2)\n"
        "def layout(): both.wait(), targets.Layout\n"
        "def table(): both.wait(), lake.table(('lake', 'orders'), ())\n"
        "with ThreadPoolExecutor(2) as pool:\n"
        "    for each in [pool.submit(layout), pool.submit(table)]: each.result()"
    )
    found = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
