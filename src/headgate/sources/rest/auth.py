"""How a request is let in: what each kind of a manifest's `auth` adds to it; tokens are fetched and renewed."""

import threading
import time
import uuid
from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

import orjson
from joserfc import jwk, jwt
from joserfc.errors import JoseError

from headgate.errors import SourceAccessDenied, SourceError
from headgate.sources.rest.ask import Ask, address_of, moved
from headgate.sources.rest.manifest import Auth
from headgate.sources.rest.paths import Path
from headgate.sources.rest.templates import LEFT_OUT, Filling, filled

if TYPE_CHECKING:
    from headgate.sources.rest.asking import Asking

__all__ = ["Authenticator", "Token", "authenticator"]

_EARLY = 30.0  # seconds before a token expires it is renewed
_GRANTS = {
    "client_credentials": "client_credentials",
    "refresh_token": "refresh_token",
    "password": "password",
    "jwt_bearer": "urn:ietf:params:oauth:grant-type:jwt-bearer",
}


class Authenticator:
    """Adds to a request what lets it in. This one adds what stands in the connection's parameters."""

    def __init__(self, auth: Auth, values: Mapping[str, Any]) -> None:
        self._kind = auth.kind
        self._about: dict[str, Any] = filled(auth.about, Filling(values))

    def sign(self, ask: Ask, asking: "Asking") -> None:  # noqa: ARG002 - those that fetch tokens need it
        """Add it to `ask`. Raises SourceError."""
        about = self._about
        match self._kind:
            case "bearer":
                ask.headers["Authorization"] = f"{about.get('prefix', 'Bearer')} {about['token']}"
            case "basic":
                ask.headers["Authorization"] = _basic(about["username"], about["password"])
            case "headers":
                ask.headers |= {name: str(value) for name, value in about["headers"].items()}
            case "query":
                ask.query |= about["query"]

    def renew(self, asking: "Asking") -> bool:  # noqa: ARG002 - as above
        """Have the next request be let in anew, after one was refused; whether that may help."""
        return False

    def base(self, asking: "Asking") -> str | None:  # noqa: ARG002 - as above
        """What every path begins with, where the vendor says so when it lets one in."""
        return None

    @property
    def secrets(self) -> tuple[str, ...]:
        """What it made or fetched, which must not stand in an error."""
        return (_basic(self._about["username"], self._about["password"])[6:],) if self._kind == "basic" else ()


def authenticator(auth: Auth, values: Mapping[str, Any]) -> Authenticator:
    """What a manifest's `auth` is for one connection's `values`."""
    match auth.kind:
        case "oauth2":
            return _OAuth2(auth, values)
        case "hook":
            return _Hooked(auth, values)
    return Authenticator(auth, values)


@dataclass(frozen=True, slots=True)
class Token:
    """What lets in: the token, for how many seconds where that is told, and where the API is, where that is told."""

    text: str
    seconds: float | None = None
    base: str | None = None


class _Tokens(Authenticator):
    """A token that is fetched when it is needed, and again before it expires or when it is refused."""

    _tells_base = False

    def __init__(self, auth: Auth, values: Mapping[str, Any]) -> None:
        super().__init__(auth, values)
        self._token: str | None = self._about.get("token") or None
        self._until: float | None = None
        self._base: str | None = None
        self._seen: list[str] = []
        self._lock = threading.Lock()
        self._used = threading.local()

    def sign(self, ask: Ask, asking: "Asking") -> None:
        token = self._current(asking)
        self._used.token = token
        ask.headers["Authorization"] = f"{self._about.get('prefix', 'Bearer')} {token}"

    def renew(self, asking: "Asking") -> bool:
        with self._lock:
            if self._token == getattr(self._used, "token", None):  # else another thread has renewed it already
                self._fetch(asking)
        return True

    def base(self, asking: "Asking") -> str | None:
        if not self._tells_base:
            return None
        if self._base is None:
            with self._lock:
                if self._base is None:
                    self._fetch(asking)
        return self._base

    @property
    def secrets(self) -> tuple[str, ...]:
        return tuple(self._seen)

    def _current(self, asking: "Asking") -> str:
        with self._lock:
            if self._token is None or (self._until is not None and time.monotonic() > self._until):
                self._fetch(asking)
            assert self._token is not None  # noqa: S101 - fetched, or the error is raised
            return self._token

    def _fetch(self, asking: "Asking") -> None:
        found = self._new(asking)
        self._token, self._base = found.text, found.base
        self._seen.append(found.text)
        seconds = found.seconds
        self._until = None if seconds is None else time.monotonic() + max(seconds - _EARLY, seconds / 2)

    def _new(self, asking: "Asking") -> Token:
        raise NotImplementedError


class _Hooked(_Tokens):
    """A token that a module of `hooks/` fetches: `token(asking)`."""

    def __init__(self, auth: Auth, values: Mapping[str, Any]) -> None:
        super().__init__(auth, values)
        self._tells_base = bool(self._about.get("tells_base"))

    def _new(self, asking: "Asking") -> Token:
        found: Token = import_module(f"headgate.sources.rest.hooks.{self._about['hook']}").token(asking)
        return found


class _OAuth2(_Tokens):
    """A token of OAuth 2."""

    def __init__(self, auth: Auth, values: Mapping[str, Any]) -> None:
        super().__init__(auth, values)
        self._refresh: str | None = self._about.get("refresh_token") or None
        self._tells_base = "base_path" in self._about

    def renew(self, asking: "Asking") -> bool:
        able = self._about["grant"] != "refresh_token" or (self._refresh and self._about.get("token_url"))
        return super().renew(asking) if able else False

    def _new(self, asking: "Asking") -> Token:
        about, base = self._about, None
        answer = asking.answer(self._request(asking))
        try:
            document = orjson.loads(answer.content)
        except orjson.JSONDecodeError:
            document = None
        token = Path.of(about.get("token_path", "access_token")).first(document)
        if not isinstance(token, str) or not token:
            raise SourceAccessDenied(f"{asking.title} answered a request for a token without one.")
        said = Path.of(about.get("expires_path", "expires_in")).first(document)
        try:
            seconds = float(said)
        except (TypeError, ValueError):
            seconds = None
        if isinstance(again := Path.of("refresh_token").first(document), str):
            self._refresh = again
            self._seen.append(again)
        if "base_path" in about:
            base = Path.of(about["base_path"]).first(document)
            if not isinstance(base, str):
                raise SourceError(f"{asking.title} says not where its API is: the token has no {about['base_path']}.")
        return Token(token, seconds, base)

    def _request(self, asking: "Asking") -> Ask:
        about, address = self._about, str(self._about["token_url"])
        below = asking.said_base + address if address.startswith("/") else address_of(address, asking.values)
        whole = moved(address, asking.values) if "://" in address else below
        named = {} if about["grant"] == "session" else {"grant_type": _GRANTS[about["grant"]]}
        form = {**named, **about.get("body", {})}
        match about["grant"]:
            case "refresh_token":
                form["refresh_token"] = self._refresh
            case "password":
                form |= {"username": about.get("username"), "password": about.get("password")}
            case "jwt_bearer":
                form["assertion"] = self._assertion(asking)
        if "scopes" in about:
            form["scope"] = about["scopes"]
        headers = {"Accept": "application/json"}
        client = {"client_id": about.get("client_id"), "client_secret": about.get("client_secret")}
        if about.get("client", "body") == "basic":
            headers["Authorization"] = _basic(str(client["client_id"]), str(client["client_secret"]))
        elif about.get("client", "body") == "body":
            form |= client
        form = {name: value for name, value in form.items() if value not in (None, LEFT_OUT)}
        if about.get("send") == "json":
            return Ask("POST", whole, headers=headers, body=form, own=False)
        return Ask("POST", whole, headers=headers, form=form, own=False)

    def _assertion(self, asking: "Asking") -> str:
        about, now = self._about["jwt"], int(time.time())
        algorithm = about.get("algorithm", "RS256")
        claims = {
            "iss": about["issuer"],
            "aud": about["audience"],
            "iat": now,
            "exp": now + about.get("seconds", 300),
            "jti": uuid.uuid4().hex,
            **({"sub": about["subject"]} if "subject" in about else {}),
            **({"scope": self._about["scopes"]} if "scopes" in self._about else {}),
            **about.get("claims", {}),
        }
        kind: Any = {"RS256": "RSA", "ES256": "EC", "HS256": "oct"}[algorithm]
        try:
            key = jwk.import_key(str(about["key"]).replace("\\n", "\n"), kind)
            return jwt.encode({"alg": algorithm, "typ": "JWT"}, claims, key, algorithms=[algorithm])
        except (JoseError, ValueError, TypeError) as error:
            raise SourceAccessDenied(
                f"{asking.title}: the private key cannot be used for {algorithm} ({type(error).__name__}). "
                "Give it as PEM text."
            ) from None


def _basic(name: str, password: str) -> str:
    return "Basic " + b64encode(f"{name}:{password}".encode()).decode()
