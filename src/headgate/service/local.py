"""What the people of this machine may do with a data folder, without a service running."""

import json
import os
import secrets
import time
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from headgate.auth import Tokens, local_credentials
from headgate.config import Settings
from headgate.errors import BadSetting, NotFound, TokenInvalid
from headgate.model.orgs import Client
from headgate.model.runs import Json
from headgate.model.scope import Principal
from headgate.store import Store, open_store

__all__ = [
    "DEFAULT_ADDRESS",
    "LoginEnded",
    "NoDeployment",
    "address",
    "credentials",
    "log_in",
    "log_out",
    "must_exist",
    "opened",
    "remember_address",
    "settings_for",
]


class NoDeployment(NotFound):
    """There is no Headgate data in this folder."""


class LoginEnded(TokenInvalid):
    """The token of the person who logged in has ended."""


DEFAULT_ADDRESS = "http://127.0.0.1:8080"


def settings_for(data: Path | None) -> Settings:
    """The settings, with the data folder that was named, if one was. Raises BadSetting."""
    try:
        return Settings() if data is None else Settings(data=data)
    except ValidationError as error:
        # Without the value, which may be a secret.
        raise BadSetting(" ".join(map(_said, error.errors()))) from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"headgate.toml cannot be read: {error}.") from None


def _said(fault: ErrorDetails) -> str:
    name, *member = fault["loc"] or ("",)
    where = ".".join((f"HEADGATE_{name}".upper(), *map(str, member)))
    if fault["type"] == "extra_forbidden":
        return f"{where}: there is no such setting."
    return f"{where}: {fault['msg'].removeprefix('Value error, ').rstrip('.')}."


def credentials(data: Path | None, *, create: bool = True) -> Json:
    """What a client of the local organisation needs, with a token valid for a day.

    `{"baseUrl","orgId","sandbox","apiKey","clientId","clientSecret","accessToken"}`. The address is the one
    the folder's service was last started at. Makes the folder and the organisation on first use, unless
    `create` is false: then raises NoDeployment. Of a person who logged in there is `userId` and `expiresAt` and
    no secret; raises LoginEnded when their token has ended.
    """
    settings = settings_for(data)
    if not create:
        must_exist(settings)
    if _login_note(settings).exists():
        return {"baseUrl": address(settings), **_logged_in(settings)}
    store = open_store(settings)
    try:
        found = local_credentials(settings, store)
    finally:
        store.close()
    wire: Json = dict(found.wire(address(settings)))
    return wire


def log_in(
    data: Path | None, user: str, *, org_id: str | None = None, sandbox: str | None = None, client_id: str | None = None
) -> Json:
    """Get a token of the built-in issuer for a person, and keep it for the commands of this folder (mode 0600).

    The organisation is the local one unless named; the client is the first of it. What `credentials()` gives
    from now on, until the token ends or `log_out()`. Raises NotFound for who has no role there.
    """
    settings = settings_for(data)
    store = open_store(settings)
    try:
        org_id = org_id or local_credentials(settings, store).org_id
        client = _client_of(store, org_id, client_id)
        principal = Principal(user, client.id, "user", frozenset({org_id}))
        grants = store.tenants.standing(principal, org_id).grants
        if not grants:
            raise NotFound(
                f"{user} has no role in {org_id}. Give one by `headgate roles grant ROLE --user {user} --org {org_id}`."
            )
        places = {grant.sandbox for grant in grants}
        chosen = sandbox or (None if None in places else min(filter(None, places)))
        scope = store.tenants.scope(org_id, chosen)
    finally:
        store.close()
    if scope is None:
        raise NotFound(f"No sandbox {chosen!r} can be used in the organisation. Name another by --sandbox.")
    known = {
        "orgId": org_id,
        "sandbox": scope.sandbox_name,
        "apiKey": client.id,
        "clientId": client.id,
        "userId": user,
        "accessToken": Tokens(settings.keys, settings.public_url).issue(principal, settings.token_lifetime),
        "expiresAt": int(time.time()) + settings.token_lifetime,
    }
    _keep(_login_note(settings), json.dumps(known).encode())
    return known


def log_out(data: Path | None) -> None:
    """Forget the person who logged in: commands act for the local user again."""
    _login_note(settings_for(data)).unlink(missing_ok=True)


@contextmanager
def opened(data: Path | None) -> Iterator[Store]:
    """The store of a data folder that is there. Raises NoDeployment, BadSetting, Unavailable."""
    settings = settings_for(data)
    must_exist(settings)
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()


def must_exist(settings: Settings) -> None:
    """Raise NoDeployment when the data folder holds nothing of Headgate's yet."""
    if not settings.keys.exists():
        raise NoDeployment(f"There is no Headgate data in {settings.data}. Name the folder by --data, or start serve.")


def remember_address(settings: Settings, address: str) -> None:
    """Keep the address that a service of this folder answers at, for `credentials()`."""
    settings.address_note.write_text(json.dumps({"baseUrl": address}))


def _logged_in(settings: Settings) -> Json:
    known: Json = json.loads(_login_note(settings).read_bytes())
    if known["expiresAt"] <= time.time():
        raise LoginEnded(f"The login of {known['userId']} has ended. Run `headgate login` again, or `headgate logout`.")
    return known


def _client_of(store: Store, org_id: str, client_id: str | None) -> Client:
    ours = [client for client in store.tenants.clients(org_id) if not client.issuer]
    chosen = next((client for client in ours if client_id in (None, client.id)), None)
    if chosen is None:
        raise NotFound(
            f"The organisation {org_id!r} has no such client. `headgate clients list` shows those there are."
        )
    return chosen


def _keep(path: Path, content: bytes) -> None:
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    draft.replace(path)


def _login_note(settings: Settings) -> Path:
    return settings.keys / "login.json"


def address(settings: Settings) -> str:
    """Where a service of this folder was last started at."""
    note = settings.address_note
    return str(json.loads(note.read_text())["baseUrl"]) if note.exists() else DEFAULT_ADDRESS
