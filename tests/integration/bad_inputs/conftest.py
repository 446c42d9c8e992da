"""The world that the table is gone through in."""

from collections.abc import Iterator

import pytest

from headgate.engine import Worker
from headgate.targets import Lake
from tests.integration.bad_inputs.cases import World, made_world
from tests.integration.face import Face, second_org


@pytest.fixture(scope="module")
def working(face: Face) -> Iterator[Face]:
    """The service with a worker beside it."""
    lake = Lake(face.settings.warehouse)
    worker = Worker(face.store, lake, face.settings)
    worker.start()
    yield face
    worker.stop()
    lake.close()


@pytest.fixture(scope="module")
def world(working: Face) -> World:
    return made_world(working, second_org(working))
