"""Tokens of another issuer: a real one on the loopback interface, good tokens, and forged ones."""

import base64
import json
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, hmac
from joserfc import jwt
from joserfc.errors import SecurityWarning
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry

from headgate.auth import keys as issuer_keys
from headgate.auth.issuers import RemoteIssuer
from headgate.auth.keys import IssuerKeys, IssuerUnreachable
from headgate.config import IssuerSettings, Settings
from headgate.errors import TokenInvalid
from headgate.model.orgs import Client, Grant, Org
from tests.integration.face import BASE, CATALOG, Face, refused, serving

ORG = "C" * 24 + "@AdobeOrg"
AUDIENCE = "https://headgate.example.com"
Key = RSAKey | ECKey | OKPKey


def key(made: Key, id_: str) -> Key:
    """A key pair that an issuer publishes under this id."""
    return type(made).import_key({**made.as_dict(private=True), "kid": id_})


RSA = key(RSAKey.generate_key(2048), "rsa")
EC = key(ECKey.generate_key("P-256"), "ec")
ED = key(OKPKey.generate_key("Ed25519"), "ed")
ALGORITHMS = {"rsa": "RS256", "ec": "ES256", "ed": "EdDSA"}


@dataclass
class Issuer:
    """An OpenID Connect issuer. What was asked of it is in `asked`."""

    url: str = ""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [one.as_dict(private=False) for one in (RSA, EC, ED)])
    discovery: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    padding: int = 0
    asked: list[str] = field(default_factory=list)

    def answer(self, path: str) -> dict[str, Any]:
        self.asked.append(path)
        if path == "/.well-known/openid-configuration":
            return {"issuer": self.url, "jwks_uri": f"{self.url}/keys", **self.discovery}
        return {"keys": self.keys, "padding": "x" * self.padding}

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        """Status and body of the answer to a code that is sent to /token."""
        raise NotImplementedError


@contextmanager
def issuing(issuer: Issuer) -> Iterator[Issuer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(issuer.answer(self.path)).encode()
            self.send_response(issuer.status)
            if issuer.status == 302:
                self.send_header("Location", f"{issuer.url}/elsewhere")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            form = dict(parse_qsl(self.rfile.read(int(self.headers["Content-Length"])).decode()))
            status, answer = issuer.exchange(form, self.headers.get("Authorization", ""))
            body = json.dumps(answer).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    try:
        yield issuer
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def issuer() -> Iterator[Issuer]:
    with issuing(Issuer()) as issuer:
        yield issuer


@pytest.fixture(scope="module")
def face(tmp_path_factory: pytest.TempPathFactory, metadata: str, issuer: Issuer) -> Iterator[Face]:
    """A service that trusts the issuer for one organisation, where its client is known."""
    trusted = {
        "url": issuer.url,
        "audience": AUDIENCE,
        "org": ORG,
        "roles": "realm_access.roles",
        "role_map": {"engineers": "developer", "analysts": "operator@dev"},
    }
    with serving(tmp_path_factory.mktemp("service"), metadata, issuers=(trusted,)) as face:
        face.store.tenants.ensure_org(Org(ORG, "Third"), Client("spa", ORG, "web application", issuer.url), "-")
        yield face


def claims(issuer: Issuer, **changes: Any) -> dict[str, Any]:
    """The claims of a good token, changed; None leaves one out."""
    now = int(time.time())
    good = {
        "iss": issuer.url,
        "aud": ["account", AUDIENCE],
        "sub": "u-17",
        "azp": "spa",
        "realm_access": {"roles": ["engineers", "unknown"]},
        "nbf": now,
        "exp": now + 600,
    }
    return {name: value for name, value in {**good, **changes}.items() if value is not None}


def signed(issuer: Issuer, by: Key = RSA, header: dict[str, Any] | None = None, **changes: Any) -> str:
    """A token with a good signature of `by`."""
    id_ = str(by.kid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", SecurityWarning)  # EdDSA is an old name; issuers use it
        header = {"alg": ALGORITHMS.get(id_, "ES256"), "kid": id_, **(header or {})}
        header = {name: value for name, value in header.items() if value is not None}
        names = ["RS256", "ES256", "EdDSA", "Ed25519", "PS256"]
        registry = JWSRegistry(algorithms=names, strict_check_header=False)
        return jwt.encode(header, claims(issuer, **changes), by, registry=registry)


def asking(face: Face, token: str, path: str = "/connections", sandbox: str = "prod") -> httpx.Response:
    headers = {
        "Authorization": f"Bearer {token}",
        "x-api-key": "spa",
        "x-gw-ims-org-id": ORG,
        "x-sandbox-name": sandbox,
    }
    return face.http.get(BASE + path, headers=headers)


# -- good tokens ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("by", [RSA, EC, ED], ids=["RS256", "ES256", "EdDSA"])
def test_a_token_of_each_kind_of_key_is_taken(face: Face, issuer: Issuer, by: Key) -> None:
    answer = asking(face, signed(issuer, by))
    assert answer.status_code == 200, answer.text


GOOD: dict[str, Callable[[Issuer], str]] = {
    "the newer name of EdDSA": lambda issuer: signed(issuer, ED, {"alg": "Ed25519"}),
    "typ at+jwt": lambda issuer: signed(issuer, header={"typ": "at+jwt"}),
    "expired half a minute ago": lambda issuer: signed(issuer, exp=int(time.time()) - 30),
    "valid in half a minute": lambda issuer: signed(issuer, nbf=int(time.time()) + 30),
    "a jku that nobody reads": lambda issuer: signed(issuer, header={"jku": issuer.url + "/attacker"}),
    "a header of the issuer's own": lambda issuer: signed(issuer, header={"ver": 2}),
}


@pytest.mark.parametrize("made", GOOD.values(), ids=GOOD.keys())
def test_what_does_not_matter_is_not_read(face: Face, issuer: Issuer, made: Callable[[Issuer], str]) -> None:
    answer = asking(face, made(issuer))
    assert answer.status_code == 200, answer.text
    assert "/attacker" not in issuer.asked


def test_claims_say_who_it_was(face: Face, issuer: Issuer) -> None:
    headers = {"Authorization": f"Bearer {signed(issuer)}", "x-api-key": "spa", "x-gw-ims-org-id": ORG}
    [made] = face.http.post(f"{CATALOG}/dataSets", json={"name": "Theirs"}, headers=headers).json()
    id_ = made.removeprefix("@/dataSets/")
    item = face.http.get(f"{CATALOG}/dataSets/{id_}", headers=headers).json()[id_]
    assert (item["createdUser"], item["createdClient"], item["imsOrg"]) == ("u-17", "spa", ORG)


def test_claims_say_what_it_may_do(face: Face, issuer: Issuer) -> None:
    analyst = signed(issuer, realm_access={"roles": ["analysts"]})
    refused(asking(face, analyst), 403, "FLOW-2121-403")
    assert asking(face, analyst, sandbox="dev").status_code == 200
    refused(asking(face, signed(issuer, realm_access=None)), 403, "FLOW-2121-403")


def test_a_service_is_known_by_its_subject(face: Face, issuer: Issuer) -> None:
    """A role that the client was granted is the service's, and not that of the people who use the client."""
    assert asking(face, signed(issuer, sub="spa", realm_access=None)).status_code == 200
    refused(asking(face, signed(issuer, realm_access=None)), 403, "FLOW-2121-403")


def test_its_organisation_is_the_only_one(face: Face, issuer: Issuer) -> None:
    headers = {**face.headers, "Authorization": f"Bearer {signed(issuer)}", "x-api-key": "spa"}
    answer = face.http.get(f"{BASE}/connections", headers=headers)
    assert (answer.status_code, answer.json()["error_code"]) == (403, "403025")


def test_the_built_in_issuer_goes_on(face: Face) -> None:
    assert face.get("/connections").status_code == 200


# -- forged tokens -------------------------------------------------------------------------------------


def raw(header: object, content: object, signature: bytes = b"") -> str:
    parts = [json.dumps(header).encode(), json.dumps(content).encode(), signature]
    return ".".join(base64.urlsafe_b64encode(part).decode().rstrip("=") for part in parts)


def by_hmac(issuer: Issuer, secret: bytes) -> str:
    text = raw({"alg": "HS256", "kid": "rsa"}, claims(issuer)).rsplit(".", 1)[0]
    mac = hmac.HMAC(secret, hashes.SHA256())
    mac.update(text.encode())
    return f"{text}.{base64.urlsafe_b64encode(mac.finalize()).decode().rstrip('=')}"


ATTACKER = ECKey.generate_key("P-256")
FORGED: dict[str, Callable[[Issuer], str]] = {
    "none": lambda issuer: raw({"alg": "none", "kid": "rsa"}, claims(issuer)),
    "nOnE": lambda issuer: raw({"alg": "nOnE", "kid": "rsa"}, claims(issuer)),
    "no algorithm": lambda issuer: raw({"kid": "rsa"}, claims(issuer), b"x" * 256),
    "HS256 by the public PEM": lambda issuer: by_hmac(issuer, RSA.as_pem(private=False)),
    "HS256 by the public JWK": lambda issuer: by_hmac(issuer, json.dumps(RSA.as_dict(private=False)).encode()),
    "ES256 by the RSA key's id": lambda issuer: signed(issuer, EC, {"kid": "rsa"}),
    "RS256 in the header of an EC key": lambda issuer: raw({"alg": "RS256", "kid": "ec"}, claims(issuer), b"x" * 64),
    "PS256 by an RSA key": lambda issuer: signed(issuer, RSA, {"alg": "PS256"}),
    "another key": lambda issuer: signed(issuer, key(ATTACKER, "ec")),
    "no kid": lambda issuer: signed(issuer, header={"kid": None}),
    "kid is a number": lambda issuer: raw({"alg": "RS256", "kid": 1}, claims(issuer), b"x" * 256),
    "kid with a path": lambda issuer: raw({"alg": "RS256", "kid": "../../dev/null"}, claims(issuer), b"x"),
    "kid with SQL": lambda issuer: raw({"alg": "RS256", "kid": "' or 1=1--"}, claims(issuer), b"x"),
    "unknown kid": lambda issuer: signed(issuer, key(ATTACKER, "new")),
    "jku": lambda issuer: signed(issuer, key(ATTACKER, "a"), {"jku": issuer.url + "/attacker"}),
    "x5u": lambda issuer: signed(issuer, key(ATTACKER, "ec"), {"x5u": issuer.url + "/attacker"}),
    "embedded jwk": lambda issuer: signed(issuer, key(ATTACKER, "ec"), {"jwk": ATTACKER.as_dict(private=False)}),
    "expired": lambda issuer: signed(issuer, exp=int(time.time()) - 61),
    "not yet": lambda issuer: signed(issuer, nbf=int(time.time()) + 90),
    "no exp": lambda issuer: signed(issuer, exp=None),
    "no nbf": lambda issuer: signed(issuer, nbf=None),
    "exp is a text": lambda issuer: signed(issuer, exp="tomorrow"),
    "exp is not a number": lambda issuer: signed(issuer, exp=float("nan")),
    "exp is never": lambda issuer: signed(issuer, exp=float("inf")),
    "another audience": lambda issuer: signed(issuer, aud="elsewhere"),
    "no audience": lambda issuer: signed(issuer, aud=None),
    "audience is a number": lambda issuer: signed(issuer, aud=1),
    "another issuer": lambda issuer: signed(issuer, iss="http://127.0.0.1:9"),
    "issuer with a slash more": lambda issuer: signed(issuer, iss=issuer.url + "/"),
    "no issuer": lambda issuer: signed(issuer, iss=None),
    "our issuer, their key": lambda issuer: signed(issuer, iss="urn:headgate:x", aud="headgate"),
    "a logout token": lambda issuer: signed(issuer, header={"typ": "logout+jwt"}),
    "typ is a number": lambda issuer: raw({"alg": "RS256", "kid": "rsa", "typ": 1}, claims(issuer), b"x" * 256),
    "an extension we must know": lambda issuer: raw(
        {"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}, claims(issuer), b"x" * 256
    ),
    "no client": lambda issuer: signed(issuer, azp=None),
    "no subject": lambda issuer: signed(issuer, sub=None),
    "the local user": lambda issuer: signed(issuer, sub="local@headgate"),
    "the service itself": lambda issuer: signed(issuer, sub="headgate"),
    "a subject with a line break": lambda issuer: signed(issuer, sub="a\nb"),
    "claims are a list": lambda issuer: raw({"alg": "RS256", "kid": "rsa"}, [claims(issuer)], b"x" * 256),
    "cut": lambda issuer: signed(issuer)[:-9],
    "four parts": lambda issuer: signed(issuer) + ".x",
    "no base64": lambda _issuer: "a!b.c?d.e",
    "13 kB": lambda issuer: signed(issuer, filler="x" * 9_500),
}


@pytest.mark.parametrize("forge", FORGED.values(), ids=FORGED.keys())
def test_a_forged_token_is_refused_and_calls_nobody(face: Face, issuer: Issuer, forge: Callable[[Issuer], str]) -> None:
    assert asking(face, signed(issuer)).status_code == 200
    before = len(issuer.asked)
    answer = asking(face, forge(issuer))
    assert (answer.status_code, answer.json()["error_code"]) == (401, "401013"), answer.text
    assert issuer.asked[before:] == []  # the keys were fetched less than a minute ago


def test_a_client_of_the_issuer_must_be_known_as_its(face: Face, issuer: Issuer) -> None:
    for token, api_key in (
        (signed(issuer, azp="stranger"), "stranger"),
        (signed(issuer, azp=face.credentials.client_id), face.credentials.client_id),
        (signed(issuer), face.credentials.client_id),
    ):
        headers = {"Authorization": f"Bearer {token}", "x-api-key": api_key, "x-gw-ims-org-id": ORG}
        answer = face.http.get(f"{BASE}/connections", headers=headers)
        assert (answer.status_code, answer.json()["error_code"]) == (403, "403003")


# -- the issuer's keys ---------------------------------------------------------------------------------


def test_a_thousand_unknown_keys_are_one_fetch(monkeypatch: pytest.MonkeyPatch) -> None:
    with issuing(Issuer()) as issuer:
        found = IssuerKeys(issuer.url)
        assert found.find("rsa").algorithms == ("RS256",)
        # The clock of the keys alone: a server's loop that saw it would sleep for that minute.
        later = time.monotonic() + 61
        monkeypatch.setattr(issuer_keys, "time", SimpleNamespace(monotonic=lambda: later))
        for number in range(1000):
            with pytest.raises(TokenInvalid):
                found.find(f"unknown {number}")
        assert issuer.asked == ["/.well-known/openid-configuration", "/keys"] * 2


def test_a_new_key_is_found_and_an_old_one_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    with issuing(Issuer()) as issuer:
        found = IssuerKeys(issuer.url)
        found.find("rsa")
        issuer.keys = [key(ATTACKER, "next").as_dict(private=False)]
        monkeypatch.setattr(issuer_keys, "_PAUSE", 0)
        assert found.find("next").algorithms == ("ES256",)
        with pytest.raises(TokenInvalid):
            found.find("rsa")
        assert found.find(None).algorithms == ("ES256",)  # the only key there is


def test_keys_are_kept_while_the_issuer_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    with issuing(Issuer()) as issuer:
        found = IssuerKeys(issuer.url)
        found.find("rsa")
        issuer.status = 503
        monkeypatch.setattr(issuer_keys, "_PAUSE", 0)
        with pytest.raises(TokenInvalid):
            found.find("next")
        assert found.find("ec").algorithms == ("ES256",)


def change(**members: Any) -> Callable[[Issuer], None]:
    def apply(issuer: Issuer) -> None:
        for name, value in members.items():
            setattr(issuer, name, value)

    return apply


UNUSABLE: dict[str, Callable[[Issuer], None]] = {
    "it answers an error": change(status=500),
    "it sends somewhere else": change(status=302),
    "it names another issuer": change(discovery={"issuer": "https://other.example.com"}),
    "its keys are at another host": change(discovery={"jwks_uri": "http://127.0.0.1:9/keys"}),
    "its keys are in a file": change(discovery={"jwks_uri": "file:///etc/passwd"}),
    "its keys have no address": change(discovery={"jwks_uri": 5}),
    "its keys are too many": change(keys=[RSA.as_dict(private=False)] * 101),
    "its keys are no list": change(keys={"kid": "rsa"}),
    "its answer is too long": change(padding=1024 * 1024),
}


@pytest.mark.parametrize("spoil", UNUSABLE.values(), ids=UNUSABLE.keys())
def test_an_issuer_that_answers_wrongly_gives_no_keys(spoil: Callable[[Issuer], None]) -> None:
    with issuing(Issuer()) as issuer:
        spoil(issuer)
        found = IssuerKeys(issuer.url)
        for _ in range(3):
            with pytest.raises(IssuerUnreachable, match=issuer.url):
                found.find("rsa")
        assert len(issuer.asked) <= 2
        assert "/elsewhere" not in issuer.asked


def test_keys_that_are_not_for_signatures_are_passed_over() -> None:
    weak = RSA.as_dict(private=False) | {"kid": "weak", "n": "x" * 100}
    unfit: list[Any] = [
        {**OctKey.generate_key(256).as_dict(private=True), "kid": "shared"},
        {**ECKey.generate_key("P-384").as_dict(private=False), "kid": "p384"},
        {**RSA.as_dict(private=False), "kid": "enc", "use": "enc"},
        {**RSA.as_dict(private=False), "kid": "ps", "alg": "PS256"},
        {"kid": "nothing"},
        {"kty": "EC", "crv": "P-256", "kid": "no point", "x": "AA", "y": "AA"},
        "no key",
        weak,
    ]
    with issuing(Issuer()) as issuer:
        issuer.keys = [*unfit, EC.as_dict(private=False)]
        found = IssuerKeys(issuer.url)
        assert found.find(None).algorithms == ("ES256",)
        for entry in unfit:
            with pytest.raises(TokenInvalid):
                found.find(entry["kid"] if isinstance(entry, dict) else "no key")


def test_a_service_whose_issuer_is_away_says_so(tmp_path_factory: pytest.TempPathFactory) -> None:
    away = Issuer(url="http://127.0.0.1:9")
    trusted = {"url": away.url, "audience": AUDIENCE, "org": ORG}
    with serving(tmp_path_factory.mktemp("away"), issuers=(trusted,)) as face:
        answer = asking(face, signed(away))
        assert answer.status_code == 503
        assert answer.headers["retry-after"]
        assert face.get("/connections").status_code == 200


# -- settings ------------------------------------------------------------------------------------------


def test_organisations_by_claim_and_by_grant(tmp_path_factory: pytest.TempPathFactory) -> None:
    with issuing(Issuer()) as by_claim, issuing(Issuer()) as by_grant:
        issuers = (
            {"url": by_claim.url, "audience": [AUDIENCE], "orgs": "https://example.com/orgs", "client": "azp"},
            {"url": by_grant.url, "audience": [AUDIENCE], "user": "email", "service": {"idtyp": "app"}},
        )
        with serving(tmp_path_factory.mktemp("orgs"), issuers=issuers) as face:
            tenants = face.store.tenants
            tenants.ensure_org(Org(ORG, "Third"), Client("spa", ORG, "web", by_claim.url), "-")
            tenants.grant(ORG, Grant("u-17", "user", "viewer", None))
            named: dict[str, Any] = {"https://example.com/orgs": [ORG]}
            assert asking(face, signed(by_claim, RSA, None, **named)).status_code == 200
            assert asking(face, signed(by_claim)).json()["error_code"] == "403025"
            headers = {"x-api-key": "spa", "x-gw-ims-org-id": "UNKNOWN"}
            token = signed(by_claim, RSA, None, **{"https://example.com/orgs": ["UNKNOWN"]})
            answer = face.http.get(f"{BASE}/flows", headers={**headers, "Authorization": f"Bearer {token}"})
            refused(answer, 404, "FLOW-2106-404")
            tenants.remove_client("spa")
            tenants.add_client(Client("spa", ORG, "web", by_grant.url), None)
            assert asking(face, signed(by_grant, email="b@example.com")).json()["error_code"] == "403025"
            tenants.grant(ORG, Grant("b@example.com", "user", "viewer", "dev"))
            assert asking(face, signed(by_grant, email="b@example.com"), sandbox="dev").status_code == 200
            refused(asking(face, signed(by_grant, email="b@example.com")), 403, "FLOW-2121-403")
            tenants.grant(ORG, Grant("spa", "service", "viewer", None))
            assert asking(face, signed(by_grant, idtyp="app")).status_code == 200


def test_an_issuer_may_leave_nbf_out_if_so_agreed() -> None:
    now = int(time.time())
    with issuing(Issuer()) as issuer:
        strict = RemoteIssuer(IssuerSettings(url=issuer.url, audience=(AUDIENCE,)))
        agreed = RemoteIssuer(IssuerSettings(url=issuer.url, audience=(AUDIENCE,), iat_for_nbf=True))
        without = signed(issuer, nbf=None, iat=now)
        assert agreed.verify(without, "rsa").user_id == "u-17"
        with pytest.raises(TokenInvalid):
            strict.verify(without, "rsa")
        for changes in ({"iat": now + 90}, {"iat": None}, {"iat": "now"}, {"iat": now, "nbf": now + 90}):
            with pytest.raises(TokenInvalid):
                agreed.verify(signed(issuer, RSA, None, **{"nbf": None, **changes}), "rsa")


@pytest.mark.parametrize(
    "wrong",
    [
        {"url": "http://login.example.com", "audience": "x"},
        {"url": "https://login.example.com", "audience": []},
        {"url": "https://login.example.com"},
        {"url": "https://login.example.com", "audience": "x", "jwks": "http://keys.example.com"},
        {"url": "https://login.example.com", "audience": "x", "role_map": {"a": "admin"}},
        {"url": "https://login.example.com", "audience": "x", "algorithm": "none"},
    ],
)
def test_settings_that_would_be_unsafe_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        IssuerSettings(**wrong)


def test_issuers_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADGATE_ISSUERS", '[{"url": "https://login.example.com", "audience": "headgate"}]')
    [issuer] = Settings().issuers
    assert (issuer.url, issuer.audience, issuer.client) == (
        "https://login.example.com",
        ("headgate",),
        ("client_id", "azp"),
    )


def test_issuers_come_from_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The example of the documentation, word for word."""
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()
    (tmp_path / "headgate.toml").write_text(page.split("```toml\n")[1].split("```")[0])
    monkeypatch.chdir(tmp_path)
    [issuer] = Settings().issuers
    assert issuer.audience == ("headgate",)
    assert issuer.role_map == {"data-engineers": "developer", "analysts": "operator@dev"}


@pytest.mark.parametrize("member", IssuerSettings.model_fields)
def test_every_setting_of_an_issuer_is_documented(member: str) -> None:
    page = (Path(__file__).parents[2] / "docs/reference/settings.md").read_text()
    assert f"`{member}`" in page.split("## Issuers")[1]
