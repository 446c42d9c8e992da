"""Signing in at an OpenID Connect issuer: the whole way by PKCE, and answers that were forged or mixed up."""

import base64
import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from headgate.model.orgs import Client, Grant, Org
from tests.integration.test_issuers import AUDIENCE, ORG, Issuer, issuing, signed
from tests.integration.visitor import Visitor, visiting

SECRET = "a secret / with: signs"


@dataclass
class LoginIssuer(Issuer):
    """An issuer at which people sign in; `changed` are claims of the ID token that are not as they should be."""

    asked_for: dict[str, str] = field(default_factory=dict)
    changed: dict[str, Any] = field(default_factory=dict)
    access: dict[str, Any] = field(default_factory=dict)

    def answer(self, path: str) -> dict[str, Any]:
        endpoints = {name: f"{self.url}/{name[:5]}" for name in ("authorization_endpoint", "token_endpoint")}
        return {**super().answer(path), **(endpoints if path.startswith("/.well-known") else {})}

    def exchange(self, form: dict[str, str], authorization: str) -> tuple[int, dict[str, Any]]:
        basic = base64.b64encode(b"console:a%20secret%20%2F%20with%3A%20signs").decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(form["code_verifier"].encode()).digest()).decode()
        if authorization != f"Basic {basic}" or challenge.rstrip("=") != self.asked_for["code_challenge"]:
            return 401, {"error": "invalid_client"}
        if form["code"] != "right" or form["redirect_uri"] != self.asked_for["redirect_uri"]:
            return 400, {"error": "invalid_grant", "error_description": "The code is not right."}
        now = int(time.time())
        about = {"azp": None, "nbf": None, "iat": now, "nonce": self.asked_for["nonce"], "aud": "console"}
        return 200, {
            "access_token": signed(self, **{"aud": AUDIENCE, "sub": "u-17", **self.access}),
            "id_token": signed(self, **{**about, **self.changed}),
            "token_type": "Bearer",
            "expires_in": 600,
        }


@pytest.fixture(scope="module")
def issuer() -> Iterator[LoginIssuer]:
    issuer = LoginIssuer()
    with issuing(issuer):
        yield issuer


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory, issuer: LoginIssuer) -> Iterator[Visitor]:
    folder = tmp_path_factory.mktemp("oidc")
    (folder / "secret").write_text(SECRET + "\n")
    sign_in = {"client_id": "console", "client_secret": f"file:{folder / 'secret'}", "label": "the company"}
    trusted = {"url": issuer.url, "audience": AUDIENCE, "org": ORG, "sign_in": sign_in}
    with visiting(folder, issuers=(trusted,)) as visitor:
        tenants = visitor.face.store.tenants
        tenants.ensure_org(Org(ORG, "The company"), Client("spa", ORG, "console", issuer.url), "-")
        tenants.grant(ORG, Grant("u-17", "user", "viewer", "dev"))
        yield visitor


@pytest.fixture
def stranger(visitor: Visitor, issuer: LoginIssuer) -> Visitor:
    issuer.changed, issuer.access = {}, {}
    return visitor.other()


def left(visitor: Visitor, issuer: LoginIssuer) -> dict[str, str]:
    """What the browser brings to the issuer."""
    page = visitor.page("/sign-in?next=/%3Fof%3Dmine")
    assert "Sign in with the company" in page
    answer = visitor.get("/sign-in/with/0?next=/%3Fof%3Dmine")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith(f"{issuer.url}/autho?")
    issuer.asked_for = dict(parse_qsl(urlsplit(answer.headers["location"]).query))
    return issuer.asked_for


def back(visitor: Visitor, **answer: str) -> httpx.Response:
    return visitor.get("/sign-in/return?" + str(httpx.QueryParams(answer)))


def test_a_person_signs_in_at_the_issuer_and_comes_back_to_the_page(stranger: Visitor, issuer: LoginIssuer) -> None:
    asked = left(stranger, issuer)
    assert asked["redirect_uri"] == f"{stranger.base}/sign-in/return"
    assert (asked["response_type"], asked["code_challenge_method"]) == ("code", "S256")
    assert SECRET not in str(asked)
    done = back(stranger, code="right", state=asked["state"], iss=issuer.url)
    assert (done.status_code, done.headers["location"]) == (303, "/?of=mine")
    page = stranger.page("/")
    assert '<meta name="sandbox" content="dev">' in page
    assert "The company" in page
    assert "u-17" in page
    again = back(stranger, code="right", state=asked["state"])  # what it was checked by is gone
    assert again.status_code == 403


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        ({"code": "right", "state": "made-up"}, "not to what this browser asked"),
        ({"code": "right", "state": ""}, "not to what this browser asked"),
        ({"code": "right", "iss": "https://other.example"}, "of another issuer"),
        ({"error": "access_denied", "error_description": "<b>No</b>"}, "refused: &lt;b&gt;No&lt;/b&gt;"),
        ({"code": "wrong"}, "The code is not right."),
    ],
)
def test_another_answer_signs_nobody_in(
    stranger: Visitor, issuer: LoginIssuer, answer: dict[str, str], said: str
) -> None:
    state = left(stranger, issuer)["state"]
    refused = back(stranger, **{"state": state, **answer})
    assert (refused.status_code, said in refused.text) == (403, True), refused.text
    assert stranger.get("/").is_redirect


WRONG: dict[str, dict[str, Any]] = {
    "the nonce of another sign-in": {"nonce": "made-up"},
    "no nonce": {"nonce": None},
    "another client": {"aud": "another"},
    "another issuer": {"iss": "https://other.example"},
    "an ID token that has ended": {"exp": 1_700_000_000},
    "another's key": {"by": ECKey.generate_key("P-256"), "header": {"kid": "ec"}},
}


@pytest.mark.parametrize("changed", WRONG.values(), ids=WRONG.keys())
def test_an_id_token_that_is_wrong_signs_nobody_in(
    stranger: Visitor, issuer: LoginIssuer, changed: dict[str, Any]
) -> None:
    issuer.changed = changed
    state = left(stranger, issuer)["state"]
    assert back(stranger, code="right", state=state).status_code == 403
    assert stranger.get("/").is_redirect


def test_a_token_that_is_not_for_this_deployment_signs_nobody_in(stranger: Visitor, issuer: LoginIssuer) -> None:
    issuer.access = {"aud": "another"}
    state = left(stranger, issuer)["state"]
    assert back(stranger, code="right", state=state).status_code == 401
    assert stranger.get("/").is_redirect


def test_who_has_no_role_is_told_so(stranger: Visitor, issuer: LoginIssuer) -> None:
    issuer.access = {"sub": "u-99"}
    state = left(stranger, issuer)["state"]
    refused = back(stranger, code="right", state=state)
    assert refused.status_code == 403
    assert "u-99 has no role" in refused.text


def test_a_return_that_nobody_waits_for_signs_nobody_in(stranger: Visitor) -> None:
    assert back(stranger, code="right", state="").status_code == 403
    assert stranger.get("/sign-in/with/7").status_code == 404


def test_a_large_token_is_kept_in_parts(stranger: Visitor, issuer: LoginIssuer) -> None:
    issuer.access = {"groups": [f"group-{number:04}" for number in range(400)]}
    state = left(stranger, issuer)["state"]
    assert back(stranger, code="right", state=state).is_redirect
    stranger.page("/")
    assert sum(name.startswith("headgate_session") for name in stranger.http.cookies) > 1
    assert stranger.post("/sign-out").is_redirect
    assert not any(name.startswith("headgate_session") for name in stranger.http.cookies)
