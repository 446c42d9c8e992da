"""The built-in issuer: tokens for clients and people, who they name, and how others check them."""

import base64
import socket
import time
from typing import Any

import httpx
import pytest

from headgate.auth import new_code, sha256
from headgate.auth.issuers import RemoteIssuer
from headgate.config import IssuerSettings
from headgate.model.orgs import Client
from headgate.model.scope import Principal
from tests.integration.face import BASE, Face, refused, second_org, serving

V1, V2, V3 = (f"/ims/token/{version}" for version in ("v1", "v2", "v3"))


def credentials(face: Face, **changes: str | None) -> dict[str, str]:
    """The fields of a good request, changed; None leaves one out."""
    good = {
        "grant_type": "client_credentials",
        "client_id": face.credentials.client_id,
        "client_secret": face.credentials.client_secret,
        "scope": "openid",
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def token(answer: httpx.Response) -> str:
    """The token of a good answer."""
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {"access_token", "token_type", "expires_in"}
    assert (body["token_type"], body["expires_in"]) == ("bearer", 86_400)
    assert answer.headers["cache-control"] == "no-store"
    return str(body["access_token"])


def using(face: Face, access_token: str, **headers: str) -> httpx.Response:
    sent = {**face.headers, **headers, "Authorization": f"Bearer {access_token}"}
    return face.http.get(f"{BASE}/connections", headers=sent)


def userinfo(face: Face, access_token: str) -> dict[str, Any]:
    answer = face.http.get("/ims/userinfo/v2", headers={"Authorization": f"Bearer {access_token}"})
    assert answer.status_code == 200, answer.text
    return dict(answer.json())


# -- clients -------------------------------------------------------------------------------------------


def test_a_client_gets_a_token_of_its_own(face: Face) -> None:
    found = token(face.http.post(V3, data=credentials(face)))
    assert using(face, found).status_code == 200
    client_id = face.credentials.client_id
    info = {"sub": client_id, "name": client_id, "email": "", "account_type": "service"}
    assert userinfo(face, found) == info


def test_the_other_ways_to_send_the_same(face: Face) -> None:
    token(face.http.post(V1, data=credentials(face)))
    token(face.http.post(V2, params=credentials(face)))
    token(face.http.post(f"{V3}/", data=credentials(face)))
    basic = (face.credentials.client_id, face.credentials.client_secret)
    token(face.http.post(V3, data={"grant_type": "client_credentials"}, auth=basic))


def test_what_a_client_makes_is_its_own(face: Face) -> None:
    found = token(face.http.post(V3, data=credentials(face)))
    headers = {**face.headers, "Authorization": f"Bearer {found}"}
    [made] = face.http.post("/data/foundation/catalog/dataSets", json={"name": "Own"}, headers=headers).json()
    id_ = made.removeprefix("@/dataSets/")
    item = face.get(f"/data/foundation/catalog/dataSets/{id_}").json()[id_]
    assert item["createdUser"] == item["createdClient"] == face.credentials.client_id


REFUSED: dict[str, tuple[dict[str, str | None], int, str]] = {
    "no grant type": ({"grant_type": None}, 400, "invalid_request"),
    "an empty grant type": ({"grant_type": ""}, 400, "invalid_request"),
    "an unknown grant type": ({"grant_type": "password"}, 400, "unsupported_grant_type"),
    "no client": ({"client_id": None}, 401, "invalid_client"),
    "an unknown client": ({"client_id": "hg_unknown"}, 401, "invalid_client"),
    "no secret": ({"client_secret": None}, 401, "invalid_client"),
    "an empty secret": ({"client_secret": ""}, 401, "invalid_client"),
    "another secret": ({"client_secret": "hgs_wrong"}, 401, "invalid_client"),
    "a secret with more behind it": ({"client_secret": "{secret}x"}, 401, "invalid_client"),
    "the stored form of the secret": ({"client_secret": "{sha256}"}, 401, "invalid_client"),
    "SQL": ({"client_id": "' or 1=1--"}, 401, "invalid_client"),
    "NUL": ({"client_id": "a\0b"}, 401, "invalid_client"),
    "no code": ({"grant_type": "authorization_code"}, 400, "invalid_grant"),
    "an unknown code": ({"grant_type": "authorization_code", "code": "hgc_unknown"}, 400, "invalid_grant"),
}


@pytest.mark.parametrize(("changes", "status", "code"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.parametrize("path", [V1, V2, V3])
def test_a_refusal_is_json(face: Face, path: str, changes: dict[str, str | None], status: int, code: str) -> None:
    secret = face.credentials.client_secret
    filled = {
        name: value and value.replace("{secret}", secret).replace("{sha256}", sha256(secret))
        for name, value in changes.items()
    }
    fields = credentials(face, **filled)
    answer = face.http.post(path, params=fields) if path == V2 else face.http.post(path, data=fields)
    assert (answer.status_code, answer.json()["error"]) == (status, code), answer.text
    assert set(answer.json()) == {"error", "error_description"}
    assert secret not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    assert ("www-authenticate" in answer.headers) == (status == 401)


@pytest.mark.parametrize(
    ("content", "media_type"),
    [
        (b"", "application/x-www-form-urlencoded"),
        (b'{"grant_type": "client_credentials"}', "application/json"),
        (b"grant_type=%ff", "application/x-www-form-urlencoded"),
        ("grant_type=\xe4".encode(), "application/x-www-form-urlencoded"),
        (b"&".join(b"a%d=1" % number for number in range(30)), "application/x-www-form-urlencoded"),
        (b"grant_type=client_credentials&grant_type=client_credentials", "application/x-www-form-urlencoded"),
    ],
    ids=["empty", "JSON", "no UTF-8", "no ASCII", "30 fields", "twice"],
)
def test_a_form_that_cannot_be_read(face: Face, content: bytes, media_type: str) -> None:
    answer = face.http.post(V3, content=content, headers={"Content-Type": media_type})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid_request"), answer.text


@pytest.mark.parametrize("header", ["Basic !!!", "Basic " + base64.b64encode(b"\xff:x").decode(), "Basic Og=="])
def test_basic_credentials_that_cannot_be_read(face: Face, header: str) -> None:
    answer = face.http.post(V3, data={"grant_type": "client_credentials"}, headers={"Authorization": header})
    assert (answer.status_code, answer.json()["error"]) == (401, "invalid_client")


def test_a_token_of_one_organisation_is_none_of_another(face: Face) -> None:
    other = second_org(face)
    found = token(face.http.post(V3, data=credentials(face)))
    answer = using(face, found, **{"x-gw-ims-org-id": other.credentials.org_id})
    assert (answer.status_code, answer.json()["error_code"]) == (403, "403025")


def test_a_client_of_another_issuer_gets_no_token_here(face: Face) -> None:
    org_id = face.credentials.org_id
    face.store.tenants.add_client(Client("spa", org_id, "spa", "https://login.example.com"), sha256("secret"))
    answer = face.http.post(V3, data=credentials(face, client_id="spa", client_secret="secret"))
    assert answer.json()["error"] == "invalid_client"


def test_secrets_are_rotated_without_a_gap(face: Face) -> None:
    tenants, client_id = face.store.tenants, "hg_rotating"
    tenants.add_client(Client(client_id, face.credentials.org_id, "rotating"), sha256("one"))

    def works(secret: str) -> bool:
        fields = credentials(face, client_id=client_id, client_secret=secret)
        return face.http.post(V3, data=fields).status_code == 200

    tenants.rotate_secret(client_id, sha256("two"), overlap_ms=60_000)
    assert [works("one"), works("two")] == [True, True]
    tenants.rotate_secret(client_id, sha256("three"), overlap_ms=60_000)
    assert [works("one"), works("two"), works("three")] == [False, True, True]
    tenants.rotate_secret(client_id, sha256("four"), overlap_ms=0)
    assert [works("two"), works("three"), works("four")] == [False, False, True]


# -- people --------------------------------------------------------------------------------------------


def given_code(face: Face, user: str, *, seconds: int = 60) -> str:
    code = new_code()
    client = Client(face.credentials.client_id, face.credentials.org_id, "-")
    face.store.tenants.add_code(sha256(code), client, user, expires_at=int((time.time() + seconds) * 1000))
    return code


@pytest.mark.parametrize("path", [V1, V2, V3])
def test_a_code_gives_a_person_their_token_once(face: Face, path: str) -> None:
    fields = credentials(face, grant_type="authorization_code", code=given_code(face, "bob@example.com"))
    send = {"params": fields} if path == V2 else {"data": fields}
    found = token(face.http.post(path, **send))  # type: ignore[arg-type]
    info = {"sub": "bob@example.com", "name": "bob@example.com", "email": "bob@example.com", "account_type": "user"}
    assert userinfo(face, found) == info
    refused(using(face, found), 403, "FLOW-2121-403")  # known, and nothing granted
    assert face.http.post(path, **send).json()["error"] == "invalid_grant"  # type: ignore[arg-type]


def test_a_code_is_its_clients_alone_and_ends(face: Face) -> None:
    tenants = face.store.tenants
    tenants.add_client(Client("hg_thief", face.credentials.org_id, "thief"), sha256("secret"))
    code = given_code(face, "bob@example.com")
    theft = credentials(face, grant_type="authorization_code", code=code, client_id="hg_thief", client_secret="secret")
    assert face.http.post(V1, data=theft).json()["error"] == "invalid_grant"
    unknown = credentials(face, grant_type="authorization_code", code=code, client_secret="wrong")
    assert face.http.post(V1, data=unknown).json()["error"] == "invalid_client"
    token(face.http.post(V1, data=credentials(face, grant_type="authorization_code", code=code)))
    late = credentials(face, grant_type="authorization_code", code=given_code(face, "bob@example.com", seconds=-1))
    assert face.http.post(V1, data=late).json()["error"] == "invalid_grant"


def test_userinfo_needs_a_token(face: Face) -> None:
    answer = face.http.get("/ims/userinfo/v2")
    assert (answer.status_code, answer.json()["error_code"]) == (403, "403010")
    answer = face.http.get("/ims/userinfo/v2", headers={"Authorization": "Bearer x.y.z"})
    assert (answer.status_code, answer.json()["error_code"]) == (401, "401013")


# -- the issuer for others -----------------------------------------------------------------------------


def test_tokens_are_checked_by_what_discovery_says(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whoever trusts this issuer takes its token."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    address = f"http://127.0.0.1:{port}"
    with serving(tmp_path_factory.mktemp("first"), port=port, public_url=f"{address}/") as face:
        known = face.http.get("/.well-known/openid-configuration").json()
        assert known["issuer"] == address
        assert known["token_endpoint"] == f"{address}{V3}"
        found = token(face.http.post(known["token_endpoint"], data=credentials(face)))
        settings = IssuerSettings(url=address, audience=("headgate",), orgs="orgs")
        principal = RemoteIssuer(settings).verify(found, None)
        client_id = face.credentials.client_id
        expected = Principal(client_id, client_id, "service", frozenset({face.credentials.org_id}), issuer=address)
        assert principal == expected
        assert using(face, found).status_code == 200


def test_discovery_without_a_public_url_names_the_address_that_was_asked(face: Face) -> None:
    known = face.http.get("/.well-known/openid-configuration").json()
    assert known["issuer"].startswith("urn:headgate:")
    assert known["jwks_uri"] == str(face.http.base_url).rstrip("/") + "/ims/keys"
    [key] = face.http.get(known["jwks_uri"]).json()["keys"]
    assert (key["kty"], key["use"], key["alg"]) == ("EC", "sig", "ES256")
    assert "d" not in key
