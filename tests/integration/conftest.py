"""Parts that tests against real servers share."""

from collections.abc import Iterator

import pytest

from tests.integration.face import Face, serving


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Face]:
    """A service that lives as long as the module's tests, and its local organisation's client."""
    with serving(tmp_path_factory.mktemp("service")) as face:
        yield face
