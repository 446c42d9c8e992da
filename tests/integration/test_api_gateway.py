"""Who is let in: headers, forged tokens, organisations and sandboxes."""

import base64
import json
import socket
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import structlog
from cryptography.hazmat.primitives import hashes, hmac
from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc import jwt
from joserfc.jwk import ECKey, RSAKey

from headgate.auth import Tokens, local_credentials
from headgate.auth.tokens import AUDIENCE
from headgate.config import Settings
from headgate.model.scope import Principal
from tests.integration.face import BASE, CATALOG, NOBODY, WINDOW, Face, refused, second_org


def gateway(answer: httpx.Response, status: int, code: str) -> str:
    """See that `answer` is in the gateway's envelope; its message."""
    assert (answer.status_code, answer.json()["error_code"]) == (status, code), answer.text
    assert set(answer.json()) == {"error_code", "message"}
    return str(answer.json()["message"])


def asking(face: Face, **headers: str | None) -> httpx.Response:
    """The answer to a request whose headers are changed; None leaves one out."""
    changed = {name.replace("_", "-"): value for name, value in headers.items()}
    kept = {name: value for name, value in face.headers.items() if name.lower() not in changed}
    sent = {**kept, **{name: value for name, value in changed.items() if value is not None}}
    return face.http.get(f"{BASE}/connections", headers=sent)


def signing_key(face: Face) -> ECKey:
    return ECKey.import_key((face.folder / "data" / "keys" / "signing.pem").read_bytes())


def claims(face: Face, **changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": (face.folder / "data" / "keys" / "issuer").read_text(),
        "aud": AUDIENCE,
        "sub": "local@headgate",
        "client_id": face.credentials.client_id,
        "orgs": [face.credentials.org_id],
        "kind": "user",
        "iat": now,
        "nbf": now,
        "exp": now + 600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(face: Face, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token signed with the deployment's own key."""
    return jwt.encode({"alg": "ES256", **(header or {})}, claims(face, **changes), signing_key(face))


def raw(header: dict[str, Any], content: dict[str, Any], signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(content).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def hs256(face: Face) -> str:
    """A token whose HMAC key is the public key's text."""
    text = raw({"alg": "HS256"}, claims(face)).rsplit(".", 1)[0]
    mac = hmac.HMAC(signing_key(face).as_pem(private=False), hashes.SHA256())
    mac.update(text.encode())
    return f"{text}.{base64.urlsafe_b64encode(mac.finalize()).decode().rstrip('=')}"


def embedded_jwk(face: Face) -> str:
    attacker = ECKey.generate_key("P-256")
    header = {"alg": "ES256", "jwk": attacker.as_dict(private=False)}
    return jwt.encode(header, claims(face), attacker)


def remote_key(face: Face, member: str) -> str:
    """A token that says where its key can be had: at a socket that must never be called."""
    header = {"alg": "ES256", member: "http://127.0.0.1:9/keys.json"}
    return jwt.encode(header, claims(face), ECKey.generate_key("P-256"))


def other_algorithm(face: Face) -> str:
    key = RSAKey.import_key(rsa.generate_private_key(public_exponent=65537, key_size=2048))
    return jwt.encode({"alg": "RS256"}, claims(face), key)


FORGED: dict[str, Callable[[Face], str]] = {
    "none": lambda face: raw({"alg": "none"}, claims(face)),
    "NONE": lambda face: raw({"alg": "NONE"}, claims(face)),
    "nOnE": lambda face: raw({"alg": "nOnE"}, claims(face)),
    "no algorithm": lambda face: raw({}, claims(face)),
    "HS256 by the public key": hs256,
    "RS256": other_algorithm,
    "another key": lambda face: jwt.encode({"alg": "ES256"}, claims(face), ECKey.generate_key("P-256")),
    "embedded jwk": embedded_jwk,
    "jku": lambda face: remote_key(face, "jku"),
    "x5u": lambda face: remote_key(face, "x5u"),
    "kid with a path": lambda face: raw({"alg": "ES256", "kid": "../../dev/null"}, claims(face), b"x" * 64),
    "kid with SQL": lambda face: raw({"alg": "ES256", "kid": "' or 1=1--"}, claims(face), b"x" * 64),
    "unknown crit": lambda face: raw({"alg": "ES256", "crit": ["b64"], "b64": False}, claims(face)),
    "expired": lambda face: signed(face, exp=int(time.time()) - 62),
    "not yet": lambda face: signed(face, nbf=int(time.time()) + 90),
    "no exp": lambda face: signed(face, exp=None),
    "no nbf": lambda face: signed(face, nbf=None),
    "exp is a text": lambda face: signed(face, exp="tomorrow"),
    "another audience": lambda face: signed(face, aud="elsewhere"),
    "no audience": lambda face: signed(face, aud=None),
    "another issuer": lambda face: signed(face, iss="urn:headgate:other"),
    "no issuer": lambda face: signed(face, iss=None),
    "no subject": lambda face: signed(face, sub=None),
    "orgs is a text": lambda face: signed(face, orgs=face.credentials.org_id),
    "unknown kind": lambda face: signed(face, kind="root"),
    "cut": lambda face: face.credentials.access_token[:-6],
    "flipped": lambda face: face.credentials.access_token[:-6] + "AAAAAA",
    "four parts": lambda face: face.credentials.access_token + ".x",
    "no base64": lambda _face: "a!b.c?d.e",
    "only dots": lambda _face: "..",
    "9 kB": lambda _face: "a" * 9000,
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_forged_token_is_refused(face: Face, forge: Callable[[Face], str]) -> None:
    gateway(asking(face, authorization=f"Bearer {forge(face)}"), 401, "401013")


def test_the_changed_tokens_above_are_refused_for_what_was_changed(face: Face) -> None:
    assert asking(face, authorization=f"Bearer {signed(face)}").status_code == 200
    late = signed(face, exp=int(time.time()) - 30)
    assert asking(face, authorization=f"Bearer {late}").status_code == 200


def test_a_key_address_in_a_token_is_never_called(face: Face) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.3)
        address = f"http://127.0.0.1:{server.getsockname()[1]}/keys.json"
        header = {"alg": "ES256", "jku": address, "x5u": address}
        token = jwt.encode(header, claims(face), ECKey.generate_key("P-256"))
        gateway(asking(face, authorization=f"Bearer {token}"), 401, "401013")
        with pytest.raises(TimeoutError):
            server.accept()


@pytest.mark.parametrize("scheme", ["bearer ", "Bearer  ", "Basic ", "Bearer\t"])
def test_other_spelling_of_the_scheme_is_refused(face: Face, scheme: str) -> None:
    gateway(asking(face, authorization=scheme + face.credentials.access_token), 401, "401013")


def test_missing_headers(face: Face) -> None:
    gateway(asking(face, authorization=None), 403, "403010")
    gateway(asking(face, authorization=""), 403, "403010")
    gateway(asking(face, x_api_key=None), 403, "403000")
    gateway(asking(face, x_gw_ims_org_id=None), 400, "400003")
    gateway(asking(face, x_gw_ims_org_id=""), 400, "400003")


def test_unknown_key_and_org(face: Face) -> None:
    gateway(asking(face, x_api_key="hg_unknown"), 403, "403003")
    gateway(asking(face, x_gw_ims_org_id="A" * 24 + "@AdobeOrg"), 403, "403025")


def test_key_of_another_client_is_refused(face: Face) -> None:
    gateway(asking(face, x_api_key=second_org(face).credentials.api_key), 403, "403003")


def test_token_of_a_client_that_is_gone_is_refused(face: Face) -> None:
    token = signed(face, client_id="hg_gone")
    gateway(asking(face, authorization=f"Bearer {token}", x_api_key="hg_gone"), 403, "403003")


def test_sandboxes(face: Face) -> None:
    refused(asking(face, x_sandbox_name="nowhere"), 404, "FLOW-2100-404")
    refused(asking(face, x_sandbox_name="*"), 403, "FLOW-2111-403")
    refused(asking(face, x_sandbox_id=NOBODY), 400, "FLOW-2110-400")
    assert asking(face, x_sandbox_name="dev").status_code == 200


def test_missing_sandbox_means_the_default_one(face: Face) -> None:
    connection = face.connection()
    headers = {name: value for name, value in face.headers.items() if name != "x-sandbox-name"}
    found = face.http.get(f"{BASE}/connections/{connection}", headers=headers)
    assert found.json()["items"][0]["sandboxName"] == "prod"


def test_service_token_may_name_its_sandbox_by_id(face: Face) -> None:
    token = f"Bearer {signed(face, kind='service', sub=face.credentials.client_id)}"
    connection = face.connection()
    prod = face.get(f"/connections/{connection}").json()["items"][0]["sandboxId"]
    assert asking(face, authorization=token, x_sandbox_id=prod).status_code == 200
    assert asking(face, authorization=token, x_sandbox_id=prod, x_sandbox_name=None).status_code == 200
    answer = asking(face, authorization=token, x_sandbox_id=prod, x_sandbox_name="dev")
    refused(answer, 404, "FLOW-2103-404")
    refused(asking(face, authorization=token, x_sandbox_id=NOBODY, x_sandbox_name=None), 404, "FLOW-2100-404")


def test_nothing_is_read_before_the_caller_is_known(face: Face) -> None:
    answer = face.http.post(f"{BASE}/runs", content=b"{", headers={"Content-Type": "text/plain"})
    gateway(answer, 403, "403010")


@pytest.mark.parametrize("stranger", ["another organisation", "another sandbox"])
def test_ids_of_others_do_not_exist(face: Face, stranger: str) -> None:
    other = second_org(face) if stranger == "another organisation" else face.of("dev")
    connection = face.connection()
    source, dataset = face.source(connection), face.dataset()
    target = face.target(dataset)
    flow = face.flow(sourceConnectionIds=[source], targetConnectionIds=[target])
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    kinds = {"connections": connection, "sourceConnections": source, "targetConnections": target, "flows": flow}
    for kind, id_ in kinds.items():
        refused(other.get(f"/{kind}/{id_}"), 404, "FLOW-1439-404")
        refused(other.delete(f"/{kind}/{id_}"), 404, "FLOW-1439-404")
        assert id_ not in other.get(f"/{kind}").text
        assert other.get(f"/{kind}", property=f"id=={id_}").json()["items"] == []
    refused(other.get(f"/runs/{run}"), 404, "FLOW-1439-404")
    refused(other.post(f"/runs/{run}/action?op=cancel", None), 404, "FLOW-1439-404")
    refused(other.get(f"/flows/{flow}/runs"), 404, "FLOW-1439-404")
    assert run not in other.get("/runs", property=f"flowId=={flow}").text
    refused(other.post("/runs", {"flowId": flow, "params": WINDOW}), 400, "FLOW-1430-400")
    assert other.get(f"{CATALOG}/dataSets/{dataset}").status_code == 404
    assert dataset not in other.get(f"{CATALOG}/dataSets").text
    body = {"name": "x", "connectionSpec": {"id": "6f2d5c0e-7c1b-4d0a-9a53-0b7e4f1c2a11"}}
    stolen = {**body, "baseConnectionId": connection, "params": {"tableName": "orders"}}
    refused(other.post("/sourceConnections", stolen), 404, "FLOW-1439-404")
    lake = {"connectionSpec": {"id": "c604ff05-7f1a-43c0-8e18-33bf874cb11c"}, "params": {"dataSetId": dataset}}
    refused(other.post("/targetConnections", lake), 400, "CONNECTOR-1325-400")
    stolen = face.flow_body(sourceConnectionIds=[source], targetConnectionIds=[target])
    refused(other.post("/flows", stolen), 404, "FLOW-1439-404")
    assert face.get(f"/flows/{flow}").json()["items"][0]["id"] == flow


def test_local_credentials_are_the_same_every_time(face: Face) -> None:
    again = local_credentials(Settings(data=face.folder / "data"), face.store)
    for name in ("org_id", "api_key", "client_id", "client_secret", "sandbox"):
        assert getattr(again, name) == getattr(face.credentials, name)
    assert again.api_key == again.client_id
    assert again.client_secret not in repr(again)
    assert again.access_token not in repr(again)


def test_keys_are_for_their_owner_alone(face: Face) -> None:
    keys = face.folder / "data" / "keys"
    assert keys.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in keys.iterdir()} == {0o600}


def test_client_secret_is_not_stored(face: Face) -> None:
    secret = face.credentials.client_secret.encode()
    for path in (face.folder / "data").glob("metadata.db*"):
        assert secret not in path.read_bytes()


def test_verifying_takes_less_than_a_millisecond(face: Face) -> None:
    tokens = Tokens(face.folder / "data" / "keys")
    token = tokens.issue(Principal("someone", "client", "user", frozenset({"org"})), 60)
    assert tokens.verify(token).user_id == "someone"
    begun = time.process_time()
    for _ in range(100):
        tokens.verify(token)
    assert (time.process_time() - begun) / 100 < 0.001


def test_the_log_says_why_a_token_was_refused_and_the_answer_does_not(face: Face) -> None:
    with structlog.testing.capture_logs() as lines:
        answer = asking(face, authorization=f"Bearer {signed(face, aud='elsewhere')}")
    message = gateway(answer, 401, "401013")
    [line] = [line for line in lines if line["event"] == "token.refused"]
    assert "aud" in line["reason"]
    assert line["request_id"] == answer.headers["x-request-id"]
    assert "aud" not in message
