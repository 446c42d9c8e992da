"""The console's frame: signing in, sessions, forms, places, errors, and the headers that bind browsers."""

import re
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import pytest
import sqlalchemy as sa
from starlette.requests import Request
from starlette.responses import Response

from headgate.console.session import Cookies
from headgate.model.orgs import Client, Grant, Org
from headgate.service.sealing import Seal
from tests.integration.face import BASE
from tests.integration.visitor import Visitor, code_of, visiting


@pytest.fixture(scope="module")
def visitor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Visitor]:
    with visiting(tmp_path_factory.mktemp("console")) as visitor:
        yield visitor


@pytest.fixture
def stranger(visitor: Visitor) -> Visitor:
    return visitor.other()


def person(visitor: Visitor, user: str, role: str, sandbox: str | None) -> Visitor:
    """Somebody else at the same service, signed in with one role."""
    face = visitor.face
    face.store.tenants.grant(face.credentials.org_id, Grant(user, "user", role, sandbox))
    return visitor.other().sign_in(user)


def test_the_api_and_the_console_share_an_address(visitor: Visitor) -> None:
    assert "<h1>Overview</h1>" in visitor.page("/")
    api = visitor.get(f"{BASE}/nothing")
    assert (api.status_code, api.json()["status"]) == (404, 404)
    assert visitor.get("/health/ready").json() == {"status": "ready"}
    assert "There is no page at this address." in visitor.get("/nothing").text
    assert visitor.get("/data").headers["content-type"].startswith("text/html")
    assert visitor.get("/sign-in/").status_code == 200


def test_every_answer_has_the_headers_that_bind_browsers(visitor: Visitor, stranger: Visitor) -> None:
    for answer in (visitor.get("/"), visitor.get("/nothing"), stranger.get("/"), stranger.get("/static/console.js")):
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'; script-src 'self'; style-src 'self';" in policy
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-request-id"]
    assert visitor.get("/").headers["cache-control"] == "no-store"


def test_assets_are_packed_and_kept_while_their_content_stays(visitor: Visitor) -> None:
    for address in re.findall(r'(?:href|src)="(/static/[^"]+)"', visitor.page("/")):
        answer = visitor.get(address)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers.get("content-encoding") == "gzip"
        assert visitor.get(address, if_none_match=answer.headers["etag"]).status_code == 304
    for path in ("/static/nothing.js", "/static/../app.py", "/static/%2e%2e/app.py", "/static/"):
        assert visitor.get(path).status_code == 404


def test_who_is_not_signed_in_is_sent_to_sign_in_and_back(stranger: Visitor) -> None:
    sent = stranger.get("/?of=mine")
    assert (sent.status_code, sent.headers["location"]) == (303, "/sign-in?next=/%3Fof%3Dmine")
    assert 'value="/?of=mine"' in stranger.page(sent.headers["location"])
    back = stranger.post("/sign-in", {"code": code_of(stranger.face), "next": "/?of=mine"})
    assert (back.status_code, back.headers["location"]) == (303, "/?of=mine")
    assert stranger.get("/").status_code == 200
    cookie = back.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" not in cookie  # over plain HTTP on this machine


def test_cookies_under_https_are_of_this_host_alone() -> None:
    service: Any = SimpleNamespace(sessions=SimpleNamespace(close=lambda *_: "sealed"), identity=SimpleNamespace())
    request = Request({"type": "http", "scheme": "https", "server": ("hg", 443), "path": "/", "headers": []})
    response = Response()
    Cookies(service, request).keep(response, "session", {}, seconds=60)
    name, _, about = response.headers["set-cookie"].partition("=")
    assert name == "__Host-headgate_session"
    assert {"Secure", "HttpOnly", "Path=/"} <= set(about.split("; "))
    assert "Domain" not in about


@pytest.mark.parametrize("target", ["https://evil.example/", "//evil.example/", "/\\evil.example", "evil", "/\t/evil"])
def test_nobody_is_sent_elsewhere(stranger: Visitor, target: str) -> None:
    back = stranger.post("/sign-in", {"code": code_of(stranger.face), "next": target})
    assert back.headers["location"] == "/"


def test_a_link_signs_in_once(stranger: Visitor) -> None:
    code = code_of(stranger.face)
    assert stranger.http.head(f"/sign-in?code={code}").status_code == 200  # which who only looks does not use up
    first = stranger.get(f"/sign-in?code={code}")
    assert (first.status_code, first.headers["location"]) == (303, "/")
    again = stranger.other().get(f"/sign-in?code={code}")
    assert again.status_code == 400
    assert "invalid_grant" in again.text


def test_a_client_signs_in_by_its_secret(stranger: Visitor) -> None:
    known = stranger.face.credentials
    wrong = stranger.post("/sign-in", {"client_id": known.client_id, "client_secret": "wrong"})
    assert wrong.status_code == 401
    assert known.client_id in wrong.text  # need not be written again
    assert "wrong" not in wrong.text
    assert stranger.post("/sign-in", {"client_id": known.client_id, "client_secret": known.client_secret}).is_redirect
    assert known.client_id in stranger.page("/")


def test_a_client_s_own_code_signs_nobody_in(stranger: Visitor) -> None:
    known = stranger.face.credentials
    answer = stranger.post("/sign-in", {"code": code_of(stranger.face, user=known.client_id)})
    assert answer.status_code == 400


def test_a_session_that_was_made_up_or_changed_counts_for_nothing(visitor: Visitor, stranger: Visitor) -> None:
    (name, text), *_ = visitor.http.cookies.items()
    for forged in ("e30", text[:-2] + ("AA" if text[-2:] != "AA" else "BB"), text[:50], "%00"):
        stranger.http.cookies.set(name, forged)
        assert stranger.get("/").headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    ("headers", "form", "code"),
    [
        ({}, {"csrf": "made-up"}, "CONSOLE-PAGE-403"),
        ({}, {"csrf": ""}, "CONSOLE-PAGE-403"),
        ({"origin": "https://evil.example"}, {}, "CONSOLE-SITE-403"),
        ({"origin": "null"}, {}, "CONSOLE-SITE-403"),
        ({"sec_fetch_site": "cross-site"}, {}, "CONSOLE-SITE-403"),
        ({"sec_fetch_site": "same-site"}, {}, "CONSOLE-SITE-403"),
    ],
)
def test_a_form_from_elsewhere_is_refused(
    visitor: Visitor, headers: dict[str, str], form: dict[str, str], code: str
) -> None:
    visitor.page("/")
    answer = visitor.post("/sign-out", form, **headers)
    assert (answer.status_code, code in answer.text) == (403, True)
    assert visitor.get("/").status_code == 200


def test_signing_in_and_the_theme_take_no_form_from_elsewhere(stranger: Visitor) -> None:
    for path, form in (("/sign-in", {"code": code_of(stranger.face)}), ("/theme", {"theme": "dark"})):
        answer = stranger.post(path, form, origin="https://evil.example")
        assert (answer.status_code, "CONSOLE-SITE-403" in answer.text) == (403, True)
    assert not stranger.http.cookies


def test_signing_out_forgets_the_session(visitor: Visitor) -> None:
    leaving = person(visitor, "leaving@example.com", "viewer", None)
    leaving.page("/")
    assert leaving.post("/sign-out").headers["location"] == "/sign-in"
    assert "You are signed out." in leaving.page("/sign-in")
    assert "You are signed out." not in leaving.page("/sign-in")
    assert leaving.get("/").headers["location"] == "/sign-in"


def test_signing_out_ends_every_copy_of_the_session_and_no_other(visitor: Visitor) -> None:
    leaving = person(visitor, "copied@example.com", "viewer", None)
    elsewhere = visitor.other().sign_in("copied@example.com")
    leaving.page("/")
    copy = visitor.other()
    copy.http.cookies.update(leaving.http.cookies)
    copy.page("/")
    leaving.post("/switch", {"sandbox": "dev"})  # has the cookie sealed anew
    assert leaving.post("/sign-out").headers["location"] == "/sign-in"
    assert copy.get("/").headers["location"] == "/sign-in"
    elsewhere.page("/")


def test_a_session_of_another_version_is_none(visitor: Visitor, stranger: Visitor) -> None:
    (name, text), *_ = visitor.http.cookies.items()
    seal = Seal(visitor.face.settings.keys / "console.key")
    whole = seal.open(text, "console", "session")
    older = {field: value for field, value in whole.items() if field != "id"}
    for content in (older, {**whole, "newer": 1}, {**whole, "ends": str(whole["ends"])}, {**whole, "id": None}, {}):
        stranger.http.cookies.set(name, seal.close(content, "console", "session"))
        answer = stranger.get("/")
        assert (answer.status_code, answer.headers.get("location")) == (303, "/sign-in")
    stranger.http.cookies.set(name, seal.close(whole, "console", "session"))
    assert stranger.get("/").status_code == 200


def test_who_has_no_role_does_not_come_in(stranger: Visitor) -> None:
    answer = stranger.post("/sign-in", {"code": code_of(stranger.face, "nobody@example.com")})
    assert answer.status_code == 403
    assert "nobody@example.com has no role" in answer.text


def test_rights_that_were_taken_end_at_once(visitor: Visitor) -> None:
    face, org = visitor.face, visitor.face.credentials.org_id
    short = person(visitor, "short@example.com", "viewer", None)
    short.page("/")
    face.store.tenants.revoke(org, Grant("short@example.com", "user", "viewer", None))
    denied = short.get("/")
    assert denied.status_code == 403
    assert "FLOW-2121-403" in denied.text
    engine = sa.create_engine(face.metadata)
    with engine.connect() as database:
        found = database.execute(sa.text("SELECT principal FROM audit WHERE action = 'denied'")).scalars().all()
    engine.dispose()
    assert "short@example.com" in found


def test_a_session_ends_with_its_client(visitor: Visitor) -> None:
    face, org = visitor.face, visitor.face.credentials.org_id
    face.store.tenants.add_client(Client("hg_gone", org, "gone"), "-")
    face.store.tenants.grant(org, Grant("late@example.com", "user", "viewer", None))
    late = visitor.other().sign_in("late@example.com", "hg_gone")
    late.page("/")
    face.store.tenants.remove_client("hg_gone")
    assert late.get("/").headers["location"] == "/sign-in"
    assert "Sign in again." in late.page("/sign-in")


def test_places_are_changed_and_forms_act_where_their_page_is(visitor: Visitor) -> None:
    face = visitor.face
    flow = face.of("dev").flow(name="of dev")
    run = face.of("dev").run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    mover = person(visitor, "mover@example.com", "viewer", None)
    assert run not in mover.page("/")
    assert mover.post("/switch", {"sandbox": "dev", "next": "/flows/1?x=2"}).headers["location"] == "/flows"
    assert run in mover.page("/")
    moved = mover.get("/?sandbox=prod&more=1")
    assert (moved.status_code, moved.headers["location"]) == (303, "/?more=1")
    assert run not in mover.page("/")
    assert mover.get("/?sandbox=nowhere").status_code == 404
    assert run not in mover.page("/")
    assert mover.post("/switch", {"sandbox": "nowhere"}).status_code == 404


def test_who_has_a_role_in_one_sandbox_begins_there(visitor: Visitor) -> None:
    page = person(visitor, "guest@example.com", "viewer", "dev").page("/")
    assert '<meta name="sandbox" content="dev">' in page
    assert 'value="prod"' not in page


def test_a_sandbox_that_is_gone_is_left_for_another(visitor: Visitor) -> None:
    face, org = visitor.face, visitor.face.credentials.org_id
    face.store.sandboxes.add(org, "brief", "Brief", "development", by="test")
    mover = person(visitor, "brief@example.com", "viewer", None)
    mover.page("/")
    assert mover.post("/switch", {"sandbox": "brief"}).is_redirect
    face.store.sandboxes.close(org, "brief", by="test")
    assert mover.get("/").headers["location"] == "/"
    assert "This is prod." in mover.page("/")


def test_htmx_is_told_of_errors_above_the_page_and_of_the_way_to_sign_in(visitor: Visitor, stranger: Visitor) -> None:
    asked = {"hx_request": "true", "hx_request_type": "partial", "hx_current_url": f"{visitor.base}/?a=b"}
    answer = visitor.get("/nothing", **asked)
    assert (answer.status_code, answer.headers["hx-retarget"]) == (404, "#messages")
    assert "<html" not in answer.text
    assert stranger.get("/", **asked).headers["hx-redirect"] == "/sign-in?next=/%3Fa%3Db"


def test_a_page_is_light_or_dark_as_the_reader_wants(stranger: Visitor) -> None:
    assert "data-theme" not in stranger.page("/sign-in")
    stranger.post("/theme", {"theme": "dark", "next": "/sign-in"})
    assert '<html lang="en" data-theme="dark">' in stranger.page("/sign-in")
    stranger.post("/theme", {"theme": "", "next": "/sign-in"})
    assert "data-theme" not in stranger.page("/sign-in")


def test_people_of_one_organisation_see_nothing_of_another(visitor: Visitor) -> None:
    face = visitor.face
    org_id = "D" * 24 + "@AdobeOrg"
    face.store.tenants.ensure_org(
        Org(org_id, "Rivals Ltd"), Client("hg_rival", org_id, "rival"), "-", admins=["rival@example.com"]
    )
    rival = visitor.other().sign_in("rival@example.com", "hg_rival")
    flow = face.flow(name="secret orders")
    run = face.run(flow, deltaColumn={"name": "updated_at"}).json()["id"]
    assert run in visitor.page("/")
    page = rival.page("/")
    assert "Rivals Ltd" in page
    for theirs in (run, "Local organisation", face.credentials.org_id, "secret orders"):
        assert theirs not in page
    assert "Rivals Ltd" not in visitor.page("/")
    denied = rival.post("/switch", {"org": face.credentials.org_id})
    assert urlsplit(denied.headers.get("location", "")).path == "/sign-in" or denied.status_code == 403


def test_a_principal_s_organisations_have_an_address(visitor: Visitor) -> None:
    known = visitor.face.credentials
    answer = visitor.face.http.get("/headgate/organisations", headers=visitor.face.headers)
    assert answer.json() == {"items": [{"orgId": known.org_id, "name": "Local organisation"}], "_links": {}}


@pytest.mark.parametrize("header", [{"sec_fetch_site": "cross-site"}, {"sec_purpose": "prefetch"}])
def test_a_link_of_another_site_only_fills_a_code_in(stranger: Visitor, header: dict[str, str]) -> None:
    """Else a page could have its readers work in somebody else's name, or use a link up ahead of its reader."""
    code = code_of(stranger.face)
    shown = stranger.get(f"/sign-in?code={code}", **header)
    assert (shown.status_code, code in shown.text, "set-cookie" in shown.headers) == (200, True, False)
    assert stranger.post("/sign-in", {"code": code}).status_code == 303  # it is still good


def test_a_token_of_a_form_that_is_no_ascii_is_refused(visitor: Visitor) -> None:
    """It is an error of the form, not of the console."""
    visitor.page("/")
    assert visitor.post("/switch", {"csrf": "\N{SNOWMAN}"}).status_code < 500
