"""The Python client against a listening service."""

import pytest

from headgate.client import Client, RequestFailed
from tests.integration.face import Face


def test_a_flow_is_found_by_its_id_or_its_name(face: Face) -> None:
    ids = [face.flow(name="twins") for _ in range(6)]
    one = face.flow(name="single child")
    with Client.of(dict(face.credentials.wire(str(face.http.base_url)))) as client:
        assert client.flow("single child")["id"] == client.flow(one)["id"] == one
        with pytest.raises(RequestFailed) as several:
            client.flow("twins")
        assert several.value.detail.count(", ") == 4  # five of them, the newest
        assert ids[-1] in several.value.detail
        assert ids[0] not in several.value.detail
        with pytest.raises(RequestFailed, match="There is no flow 'nobody' in this sandbox"):
            client.flow("nobody")
