"""What a page is given and what it answers with, and what every page must declare."""

import asyncio
import inspect
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from hmac import compare_digest
from typing import Any, ParamSpec, TypeVar, cast
from urllib.parse import parse_qsl, urlencode

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from headgate.console.policy import is_local, see_same_origin
from headgate.console.rendering import Rendering
from headgate.console.session import Cookies, Session
from headgate.errors import BadBody, BodyTooLarge, HeadgateError, PageOutdated, PermissionDenied, TokenMissing
from headgate.model.permissions import Permission
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.service import Service

__all__ = ["Form", "Guard", "Pages", "Visit", "enter", "is_partial", "look", "read_form"]

P = ParamSpec("P")
T = TypeVar("T")
Form = Mapping[str, str]
Handler = Callable[["Visit"], Response | Awaitable[Response]]
_MOST_BYTES, _MOST_FIELDS, _MOST_SECONDS = 1024 * 1024, 2000, 20
_NOTICE_SECONDS = 60


@dataclass(frozen=True, slots=True)
class Guard:
    """The permission that a route needs, in the sandbox that is shown or in the whole organisation."""

    needs: Permission
    in_org: bool = False


class Pages:
    """A group of pages: their routes, and what each needs."""

    def __init__(self) -> None:
        self.routes: list[Route] = []
        self.guards: dict[str, Guard] = {}

    def get(self, path: str, *, needs: Permission, in_org: bool = False) -> Callable[[Handler], Handler]:
        """Have the decorated function answer GET at `path`."""
        self.guards[path] = Guard(needs, in_org)
        return self._route("GET", path, Guard(needs, in_org))

    def post(self, path: str, *, needs: Permission, in_org: bool = False) -> Callable[[Handler], Handler]:
        """Have the decorated function answer the forms that are sent to `path`."""
        return self._route("POST", path, Guard(needs, in_org))

    def _route(self, method: str, path: str, guard: Guard) -> Callable[[Handler], Handler]:
        def add(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                fields = await read_form(request) if method == "POST" else []
                if inspect.iscoroutinefunction(handler):
                    visit = await run_in_threadpool(enter, request, fields, guard)
                    return visit.moved or await handler(visit)

                def work() -> Response:
                    visit = enter(request, fields, guard)
                    return visit.moved or cast(Response, handler(visit))

                return await run_in_threadpool(work)

            self.routes.append(Route(path, endpoint, methods=[method], name=handler.__name__))
            return handler

        return add


@dataclass
class Visit:
    """One request of somebody who is signed in. `fields` are those of the form that was sent."""

    request: Request
    service: Service
    session: Session
    cookies: Cookies
    rendering: Rendering
    guards: Mapping[str, Guard]
    fields: Sequence[tuple[str, str]] = ()
    moved: Response | None = None
    _guard: Guard | None = field(default=None, repr=False)

    # -- who calls ---------------------------------------------------------------------------------

    @property
    def caller(self) -> Caller:
        """Whom the service is called for: in the sandbox that is shown, or in the organisation where the route is."""
        return self.org_caller if self._guard is not None and self._guard.in_org else self.sandbox_caller

    @cached_property
    def sandbox_caller(self) -> Caller:
        """The caller in the sandbox that is shown. Raises GatewayError and what else the gate does."""
        return self.service.authenticate(self.session.headers, request_id=self.request_id)

    @cached_property
    def org_caller(self) -> Caller:
        """The caller in no sandbox, with its rights in the whole organisation."""
        return self.service.authenticate(self.session.headers, request_id=self.request_id, whole_org=True)

    @property
    def request_id(self) -> str:
        """The id of this request, as the log and the audit log name it."""
        return str(self.request.state.request_id)

    def may(self, permission: Permission | str, *, in_org: bool = False) -> bool:
        """Whether the caller has a permission: for hiding what would be refused."""
        caller = self.org_caller if in_org else self.sandbox_caller
        return permission in caller.permissions

    def still_may(self) -> bool:
        """Whether the session goes on and its owner may still see this page: for what is open for long."""
        if self._guard is None or self.cookies.session() is None:
            return False
        return self.service.still_may(self.session.headers, self._guard.needs)

    def may_see(self, path: str) -> bool:
        """Whether there is a page at `path`, and the caller may see it."""
        guard = self.guards.get(path)
        return guard is not None and self.may(guard.needs, in_org=guard.in_org)

    # -- what was asked ----------------------------------------------------------------------------

    @cached_property
    def form(self) -> Form:
        """The form that was sent, by the names of its fields; the last value where one comes twice."""
        return dict(self.fields)

    def of(self, name: str) -> str:
        """The part of the address that the route calls `name`."""
        return str(self.request.path_params[name])

    def asked(self, name: str, default: str = "") -> str:
        """The query parameter `name`, without blanks around it."""
        return str(self.request.query_params.get(name, default)).strip()

    def listing(self, *names: str) -> list[tuple[str, str]]:
        """Those query parameters of these names that are not empty, as the service's listings take them."""
        return [(name, value) for name, value in self.request.query_params.multi_items() if name in names and value]

    @property
    def partial(self) -> bool:
        """Whether htmx asks for a part of the page."""
        return is_partial(self.request)

    # -- what is answered --------------------------------------------------------------------------

    def page(self, template: str, *, part: str = "", status: int = 200, **context: Any) -> Response:
        """A page. When htmx asks and `part` names a block of the template, that block of it alone."""
        only = part if self.partial else ""
        notice = None if only else self.cookies.get("notice")
        html = self.rendering.render(self.request, template, {**context, "visit": self, "notice": notice}, only)
        response = HTMLResponse(html, status)
        if notice is not None:
            self.cookies.forget(response, "notice")
        return response

    def go(self, path: str, *, said: str = "", tone: str = "good") -> Response:
        """Send the browser to a page of this console, with a sentence to be shown there once.

        `tone` is good, or bad for what did not succeed.
        """
        if not is_local(path):
            raise ValueError(f"{path!r} is no address of the console.")
        response = Response(headers={"HX-Redirect": path}) if self.partial else RedirectResponse(path, 303)
        if said:
            self.cookies.keep(response, "notice", {"said": said, "tone": tone}, seconds=_NOTICE_SECONDS)
        return response

    async def in_thread(self, work: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
        """What a blocking function gives, for handlers that are `async`."""
        return await run_in_threadpool(work, *arguments, **named)

    # -- what every page shows ---------------------------------------------------------------------

    @property
    def path(self) -> str:
        """The path of the page, without the query."""
        return self.request.url.path

    @property
    def here(self) -> str:
        """The address of the page, with the query."""
        query = self.request.url.query
        return f"{self.path}?{query}" if query else self.path

    def with_query(self, **changes: str) -> str:
        """The address of this page with query parameters set anew; an empty text removes one."""
        pairs = [(name, value) for name, value in self.request.query_params.multi_items() if name not in changes]
        query = urlencode([*pairs, *((name, value) for name, value in changes.items() if value)])
        return f"{self.path}?{query}" if query else self.path

    def permalink(self, path: str) -> str:
        """The address of a page with the sandbox that it is in, for others of the organisation."""
        return f"{path}{'&' if '?' in path else '?'}{urlencode({'sandbox': self.session.sandbox})}"

    @cached_property
    def sandboxes(self) -> list[Json]:
        """The sandboxes that the caller may change to."""
        if not self.may(Permission.VIEW_SANDBOXES, in_org=True):
            return []
        found: list[Json] = self.service.sandboxes.usable(self.org_caller, [])["sandboxes"]
        return found

    @cached_property
    def organisations(self) -> list[Json]:
        """The organisations that the caller may change to."""
        found: list[Json] = self.service.identity.organisations(self.org_caller.principal)["items"]
        return found

    @property
    def organisation(self) -> str:
        """The name of the organisation that is shown."""
        org_id = self.session.org_id
        return next((str(org["name"]) for org in self.organisations if org["orgId"] == org_id), org_id)


def is_partial(request: Request) -> bool:
    """Whether a request is htmx's, for a part of a page."""
    headers = request.headers
    return headers.get("hx-request") == "true" and headers.get("hx-request-type", "partial") == "partial"


async def read_form(request: Request) -> list[tuple[str, str]]:
    """The fields of the form in the request's body, in order. Raises BodyTooLarge, BadBody."""
    raw = bytearray()
    try:
        async with asyncio.timeout(_MOST_SECONDS):
            async for chunk in request.stream():
                raw += chunk
                if len(raw) > _MOST_BYTES:
                    raise BodyTooLarge
    except TimeoutError as error:
        raise BadBody(f"The form did not arrive within {_MOST_SECONDS} seconds.") from error
    try:
        return parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise BadBody(f"The body is no form of at most {_MOST_FIELDS} fields in UTF-8.") from error


def enter(request: Request, fields: Sequence[tuple[str, str]], guard: Guard | None = None) -> Visit:
    """The visit of who is signed in and may take the route. Raises GatewayError, InvalidRequest, Unavailable.

    Without a guard nothing is asked of the service yet.
    """
    visit = _visit(request, fields, guard)
    if visit is None:
        raise TokenMissing
    request.state.visit = visit
    if request.method == "POST":
        _see_own_form(visit)
    elif (asked := request.query_params.get("sandbox")) and asked != visit.session.sandbox:
        visit.session = visit.session.inside(asked)
        visit.moved = RedirectResponse(visit.with_query(sandbox=""), 303)
        visit.cookies.keep_session(visit.moved, visit.session)
    if guard is None:
        return visit
    try:
        visit.caller.require(guard.needs)
    except PermissionDenied:
        visit.service.record_denied(visit.caller, guard.needs, f"{request.method} {request.url.path}")
        raise
    return visit


def look(request: Request) -> Visit | None:
    """The visit that a page about an error can stand in: None for who is not signed in, or not let in just now."""
    try:
        visit: Visit | None = getattr(request.state, "visit", None) or _visit(request, (), None)
        if visit is not None:
            _ = visit.sandbox_caller, visit.sandboxes, visit.organisations
    except HeadgateError:
        return None
    return visit


def _visit(request: Request, fields: Sequence[tuple[str, str]], guard: Guard | None) -> Visit | None:
    state = request.app.state
    cookies = Cookies(state.service, request)
    session = cookies.session()
    if session is None:
        return None
    return Visit(request, state.service, session, cookies, state.rendering, state.guards, fields, _guard=guard)


def _see_own_form(visit: Visit) -> None:
    """See that a form is of this session, and act in the sandbox of its page. Raises CrossSite, PageOutdated."""
    see_same_origin(visit.request, visit.service.identity.public_url)
    headers, form = visit.request.headers, visit.form
    given = headers.get("x-csrf-token") or form.get("csrf", "")
    if not compare_digest(given.encode(), visit.session.csrf.encode()):
        raise PageOutdated
    if sandbox := headers.get("x-sandbox-name") or form.get("in_sandbox"):
        visit.session = visit.session.inside(sandbox)
