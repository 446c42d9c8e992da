"""Where connections may reach, over the API: at creation, and again at use."""

import httpx
import pytest

from tests.integration.face import POSTGRESQL, Face, refused, second_org, serving

CODE = "FLOW-EXT-HOST-400"


def connecting(face: Face, host: str, port: str = "5432") -> httpx.Response:
    auth = {"server": host, "port": port, "database": "d", "username": "u", "password": "h0pe"}
    body = {"name": "db", "connectionSpec": {"id": POSTGRESQL}}
    return face.post("/connections", {**body, "auth": {"specName": "Basic Authentication", "params": auth}})


@pytest.mark.parametrize(
    "host", ["169.254.169.254", "::ffff:a9fe:a9fe", "2852039166", "0xa9fea9fe", "0251.0376.0251.0376", "0", "a\r\nX: y"]
)
def test_forbidden_host(face: Face, host: str) -> None:
    answer = connecting(face, host)
    assert answer.status_code == 400
    assert "h0pe" not in answer.text
    if host.isprintable():
        assert "refused always" in refused(answer, 400, CODE)
        assert answer.json()["report"]["host"] == host
    assert face.get("/connections").json()["items"] == []


@pytest.mark.parametrize("port", ["0", "65536", "22;rm", "-1"])
def test_port_that_is_none(face: Face, port: str) -> None:
    assert connecting(face, "localhost", port).status_code == 400


@pytest.mark.parametrize("host", ["localhost", "127.1", "::1", "10.0.0.1", "db.example.invalid"])
def test_several_organisations_reach_only_what_is_listed(tmp_path_factory: pytest.TempPathFactory, host: str) -> None:
    with serving(tmp_path_factory.mktemp("service")) as face:
        assert connecting(face, host).status_code == 201
        other = second_org(face)
        for who in (face, other):
            assert "HEADGATE_ALLOWED_HOSTS" in refused(connecting(who, host), 400, CODE)
