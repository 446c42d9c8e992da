"""Signing in and out, and changing the place: organisation, sandbox, and how pages look."""

import time
from collections.abc import Sequence
from urllib.parse import quote

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from headgate.console.page import Form, Visit, enter, is_partial, read_form
from headgate.console.policy import is_local, see_same_origin
from headgate.console.session import Cookies, Session, is_secure
from headgate.errors import (
    ClientRefused,
    GatewayError,
    HeadgateError,
    RouteNotFound,
    SignInFailed,
    TokenMissing,
    TokenRefused,
)
from headgate.model.runs import Json
from headgate.service.service import Service

__all__ = ["routes", "sent_to_first_sandbox", "sent_to_sign_in"]

_LEAVING_SECONDS = 900
_YEAR = 365 * 86_400


async def _sign_in(request: Request) -> Response:
    """The form; or, by the link that `headgate console` prints, the first page.

    A code that another site's page led here with is only filled in: it may be somebody else's, in whose name the reader
    would then work. So is one that a browser fetches ahead, which nobody has followed yet.
    """
    form = {name: request.query_params[name] for name in ("code", "next") if name in request.query_params}
    headers = request.headers
    followed = headers.get("sec-fetch-site", "none") in ("none", "same-origin") and "sec-purpose" not in headers
    if request.method == "GET" and "code" in form and followed:
        return await run_in_threadpool(_answer, request, form)
    return await run_in_threadpool(_show, request, form)


async def _sign_in_by_form(request: Request) -> Response:
    form = dict(await read_form(request))
    see_same_origin(request, _service(request).identity.public_url)
    return await run_in_threadpool(_answer, request, form)


def _answer(request: Request, form: Form) -> Response:
    """Sign in by what the form holds: a code, or a client's id and secret."""
    service = _service(request)
    try:
        session = begun(service, _token(service, form), str(request.state.request_id))
    except (TokenRefused, SignInFailed) as error:
        return _show(request, form, error)
    target = form.get("next", "/")
    response = RedirectResponse(target if is_local(target) else "/", 303)
    Cookies(service, request).keep_session(response, session)
    return response


def _token(service: Service, form: Form) -> Json:
    """The answer of the built-in issuer, with the client's id. Raises TokenRefused."""
    if code := form.get("code", "").strip():
        return service.identity.sign_in(code)
    client = form.get("client_id", "").strip()
    if not client:
        raise ClientRefused("Enter a sign-in code, or a client's id and secret.")
    fields = {"grant_type": "client_credentials", "client_id": client, "client_secret": form.get("client_secret", "")}
    return {**service.identity.token(list(fields.items())), "client_id": client}


def begun(service: Service, token: Json, request_id: str) -> Session:
    """The session of a token that was just given, in the first place where its owner may do anything.

    Raises SignInFailed, GatewayError.
    """
    ends = int(time.time()) + int(token["expires_in"])
    principal = service.identify({"authorization": f"Bearer {token['access_token']}"}, request_id=request_id)
    for org in service.identity.organisations(principal)["items"]:
        session = Session(token["access_token"], token["client_id"], org["orgId"], "", ends)
        if (sandbox := _first_sandbox(service, session, request_id)) is not None:
            return session.inside(sandbox)
    raise SignInFailed(f"{principal.user_id} has no role in any organisation here. An administrator can grant one.")


def _first_sandbox(service: Service, session: Session, request_id: str) -> str | None:
    """The default sandbox of the session's organisation if it may be used, else another; None when none may."""
    caller = service.authenticate(session.headers, request_id=request_id, whole_org=True)
    usable = service.sandboxes.usable(caller, [])["sandboxes"]
    names = [str(one["name"]) for one in sorted(usable, key=lambda one: not one["isDefault"])]
    return names[0] if names else None


def _show(request: Request, form: Form, error: HeadgateError | None = None) -> Response:
    cookies = Cookies(_service(request), request)
    notice = cookies.get("notice")
    target = form.get("next", "/")
    context = {
        "error": error,
        "form": form,
        "issuers": [flow.label for flow in _service(request).code_flows],
        "next": target if is_local(target) else "/",
        "notice": notice,
    }
    html = request.app.state.rendering.render(request, "sign_in.html", context)
    response = HTMLResponse(html, error.status if error else 200)
    if notice is not None:
        cookies.forget(response, "notice")
    return response


async def _leave_for_issuer(request: Request) -> Response:
    """Send the browser to an issuer, and keep what its answer is checked by."""
    return await run_in_threadpool(_left, request)


def _left(request: Request) -> Response:
    service, number = _service(request), request.path_params["number"]
    if number >= len(service.code_flows):
        raise RouteNotFound("There is no such issuer.")
    address, kept = service.code_flows[number].begin(_back(request))
    response = RedirectResponse(address, 303)
    kept |= {"number": str(number), "next": request.query_params.get("next", "/")}
    Cookies(service, request).keep(response, "leaving", kept, seconds=_LEAVING_SECONDS)
    return response


async def _return_from_issuer(request: Request) -> Response:
    return await run_in_threadpool(_returned, request)


def _returned(request: Request) -> Response:
    service, cookies = _service(request), Cookies(_service(request), request)
    kept = cookies.get("leaving") or {}
    target = kept.get("next", "/")
    try:
        session = _session_from_issuer(request, service, kept)
    except (SignInFailed, GatewayError) as error:
        response = _show(request, {"next": target}, error)
    else:
        response = RedirectResponse(target if is_local(target) else "/", 303)
        cookies.keep_session(response, session)
    cookies.forget(response, "leaving")
    return response


def _session_from_issuer(request: Request, service: Service, kept: Json) -> Session:
    """The session of who comes back from an issuer. Raises SignInFailed, GatewayError, Unavailable."""
    number, request_id = int(kept.get("number", -1)), str(request.state.request_id)
    if not 0 <= number < len(service.code_flows):
        raise SignInFailed("This browser did not ask to sign in, or too long ago. Sign in again.")
    token = service.code_flows[number].finish(dict(request.query_params), kept, _back(request))
    principal = service.identify({"authorization": f"Bearer {token['access_token']}"}, request_id=request_id)
    return begun(service, {**token, "client_id": principal.client_id}, request_id)


def _back(request: Request) -> str:
    """Where issuers send browsers back to; they must have been told."""
    base = _service(request).identity.public_url or str(request.base_url).rstrip("/")
    return f"{base}/sign-in/return"


async def _sign_out(request: Request) -> Response:
    fields = await read_form(request)
    return await run_in_threadpool(_signed_out, request, fields)


def _signed_out(request: Request, fields: Sequence[tuple[str, str]]) -> Response:
    """End the session, also for who has a copy of its cookie, and have this browser forget it."""
    visit = enter(request, fields)
    visit.service.sessions.end(visit.session.id, visit.session.ends)
    response = visit.go("/sign-in", said="You are signed out.")
    visit.cookies.forget(response, "session")
    return response


async def _switch(request: Request) -> Response:
    """Go to another sandbox, or to another organisation and the first sandbox there."""
    fields = await read_form(request)
    return await run_in_threadpool(_switched, request, fields)


def _switched(request: Request, fields: Sequence[tuple[str, str]]) -> Response:
    visit = enter(request, fields)
    session, target = visit.session, visit.form.get("next", "/")
    if (org := visit.form.get("org", "")) and org != session.org_id:
        session, target = session.of_org(org), "/"
        sandbox = _first_sandbox(visit.service, session, visit.request_id)
        if sandbox is None:
            raise SignInFailed(f"You have no role in the organisation {org!r}. An administrator can grant one.")
        session = session.inside(sandbox)
    elif sandbox := visit.form.get("sandbox", ""):
        session = session.inside(sandbox)
        visit.service.authenticate(session.headers, request_id=visit.request_id)
    # What a page is about is not in another sandbox; the list that it stands in is.
    list_ = "/" + target.split("?")[0].split("/")[1] if is_local(target) else "/"
    response = visit.go(list_)
    visit.cookies.keep_session(response, session)
    return response


async def _theme(request: Request) -> Response:
    """Have pages light, dark, or as the system is."""
    form = dict(await read_form(request))
    service = _service(request)
    see_same_origin(request, service.identity.public_url)
    target = form.get("next", "/")
    response = RedirectResponse(target if is_local(target) else "/", 303)
    secure = is_secure(service, request)
    if (theme := form.get("theme")) in ("light", "dark"):
        response.set_cookie("headgate_theme", theme, _YEAR, path="/", secure=secure, samesite="lax")
    else:
        response.delete_cookie("headgate_theme", path="/", secure=secure, samesite="lax")
    return response


def sent_to_sign_in(request: Request, error: HeadgateError) -> Response:
    """The answer to who is not let in, or not any more: the way to sign in, and back to the page."""
    cookies = Cookies(_service(request), request)
    partial = is_partial(request)
    page = request.headers.get("hx-current-url", "") if partial else ""
    path = "/" + page.split("//", 1)[-1].partition("/")[2] if partial else _path(request)
    target = f"/sign-in?next={quote(path, safe='/')}" if path != "/" else "/sign-in"
    response = Response(headers={"HX-Redirect": target}) if partial else RedirectResponse(target, 303)
    if not isinstance(error, TokenMissing):
        cookies.keep(response, "notice", {"said": f"Sign in again. {error.detail}", "tone": "bad"}, seconds=60)
    cookies.forget(response, "session")
    return response


def sent_to_first_sandbox(request: Request, error: HeadgateError) -> Response | None:
    """The answer to whose sandbox is not there any more: the way to another one. None when there is none."""
    visit: Visit | None = getattr(request.state, "visit", None)
    kept = visit.cookies.session() if visit is not None else None
    if visit is None or kept is None or kept.sandbox != visit.session.sandbox:  # but for a link's sandbox
        return None
    sandbox = _first_sandbox(visit.service, visit.session.inside(""), visit.request_id)
    if sandbox is None or sandbox == visit.session.sandbox:
        return None
    response = visit.go("/", said=f"{error.detail} This is {sandbox}.", tone="bad")
    visit.cookies.keep_session(response, visit.session.inside(sandbox))
    return response


def _path(request: Request) -> str:
    if request.method != "GET":
        return "/"
    return f"{request.url.path}?{request.url.query}" if request.url.query else request.url.path


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


routes = (
    Route("/sign-in", _sign_in, methods=["GET"]),
    Route("/sign-in", _sign_in_by_form, methods=["POST"]),
    Route("/sign-in/with/{number:int}", _leave_for_issuer, methods=["GET"]),
    Route("/sign-in/return", _return_from_issuer, methods=["GET"]),
    Route("/sign-out", _sign_out, methods=["POST"]),
    Route("/switch", _switch, methods=["POST"]),
    Route("/theme", _theme, methods=["POST"]),
)
