"""Parts that tests against real servers share."""

from collections.abc import Iterator

import pytest

from tests.conftest import empty_database
from tests.integration.face import Face, serving


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def metadata(request: pytest.FixtureRequest) -> Iterator[str]:
    """The address of an empty metadata database: of the embedded default (empty text), then on PostgreSQL."""
    if request.param == "sqlite":
        yield ""
        return
    with empty_database(request.getfixturevalue("postgres")) as address:
        yield address.replace("postgresql://", "postgresql+psycopg://", 1)


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory, metadata: str) -> Iterator[Face]:
    """A service that lives as long as the module's tests, and its local organisation's client."""
    with serving(tmp_path_factory.mktemp("service"), metadata) as face:
        yield face
