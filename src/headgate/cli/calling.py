"""Which service a command calls, and the options that say so.

A service of this machine is known by its data folder. One elsewhere is named by the environment (`HEADGATE_URL` and
what follows it) or by a section of the profiles' file, which only its owner may read. No secret is ever an argument.
"""

import functools
import os
import stat
import sys
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Concatenate

import click

from headgate.cli.options import data_option, output_option
from headgate.cli.output import Column, show_many, show_one
from headgate.errors import BadSetting
from headgate.model.runs import Json

if TYPE_CHECKING:
    import httpx

    from headgate.client import Client

__all__ = ["Call", "calling"]

_MEMBERS = {
    "url": "HEADGATE_URL",
    "token": "HEADGATE_TOKEN",
    "client_id": "HEADGATE_CLIENT_ID",
    "client_secret": "HEADGATE_CLIENT_SECRET",
    "api_key": "HEADGATE_API_KEY",
    "org": "HEADGATE_ORG",
    "sandbox": "HEADGATE_SANDBOX",
}
_OPTIONS = (
    data_option,
    click.option("--profile", envvar="HEADGATE_PROFILE", help="Section of the profiles' file that names a service."),
    click.option("--sandbox", "-s", envvar="HEADGATE_SANDBOX", help="Sandbox.  [default: that of the credentials]"),
    output_option,
    click.option("--quiet", "-q", is_flag=True, help="Say nothing beside the answer."),
    click.option("--verbose", "-v", is_flag=True, help="Say on stderr which requests are made, with their ids."),
)


@dataclass(frozen=True, slots=True)
class Call:
    """How one command was called: which service, and how it is to answer."""

    data: Path | None
    profile: str | None
    sandbox: str | None
    output: str
    quiet: bool
    verbose: bool

    @classmethod
    def of(cls, data: Path | None, output: str = "table") -> "Call":
        """The call of a command that has only these options."""
        profile, sandbox = os.environ.get("HEADGATE_PROFILE"), os.environ.get("HEADGATE_SANDBOX")
        return cls(data, profile, sandbox, output, quiet=False, verbose=False)

    @property
    def is_elsewhere(self) -> bool:
        """Whether a service elsewhere is named. Raises BadSetting."""
        return bool(self._elsewhere())

    def client(self, **options: Any) -> "Client":
        """A client of the service that is meant, with `options` of its class.

        Raises BadSetting, NoDeployment, LoginEnded.
        """
        from headgate.client import Client

        return Client.of(self.credentials(), on_answer=_tell if self.verbose else None, **options)

    def credentials(self) -> Json:
        """What a client needs, as `headgate credentials --json` prints it."""
        from headgate.service.local import credentials

        elsewhere = self._elsewhere()
        found = _remote(elsewhere) if elsewhere else credentials(self.data, create=False)
        return {**found, "sandbox": self.sandbox} if self.sandbox else found

    def show(self, items: Iterable[Json], columns: Sequence[Column], *, id_: str = "id") -> None:
        """Print a listing."""
        show_many(items, self.output, columns, id_=id_)

    def show_one(self, item: Json, fields: Sequence[Column], *, id_: str = "id") -> None:
        """Print one thing."""
        show_one(item, self.output, fields, id_=id_)

    def note(self, text: str) -> None:
        """Say something beside the answer."""
        if not self.quiet:
            click.echo(text, err=True)

    def confirm(self, question: str, *, yes: bool) -> None:
        """Ask before something that cannot be taken back. Raises Abort."""
        if not yes:
            if not sys.stdin.isatty():
                raise click.UsageError(f"{question} Nobody can be asked here: say --yes.")
            click.confirm(question, abort=True, err=True)

    def _elsewhere(self) -> Mapping[str, str]:
        """The service elsewhere that is named; nothing when a folder of this machine is meant."""
        source = click.get_current_context().get_parameter_source("data")
        if source is click.core.ParameterSource.COMMANDLINE:
            return {}
        given = {name: os.environ[variable] for name, variable in _MEMBERS.items() if os.environ.get(variable)}
        if self.profile:
            return {**_profile(self.profile), **given}
        return given if "url" in given else {}


def calling(command: Callable[Concatenate[Call, ...], None]) -> Callable[..., None]:
    """Give a command the options that say which service it calls and how it answers, as one `Call`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        call = Call(**{name: given.pop(name) for name in Call.__slots__})
        command(call, **given)

    made: Callable[..., None] = run
    for option in reversed(_OPTIONS):
        made = option(made)
    return made


def _remote(named: Mapping[str, str]) -> Json:
    if missing := [name for name in ("url", "org") if name not in named]:
        raise BadSetting(_lacks(missing[0]))
    token, key = named.get("token"), named.get("api_key") or named.get("client_id")
    if not key:
        raise BadSetting(_lacks("api_key"))
    if not token:
        token = _token(named)
    return {
        "baseUrl": named["url"].rstrip("/"),
        "orgId": named["org"],
        "sandbox": named.get("sandbox", "prod"),
        "apiKey": key,
        "accessToken": token,
    }


def _token(named: Mapping[str, str]) -> str:
    """A service token for the client's credentials, from the service's own issuer."""
    if missing := [name for name in ("client_id", "client_secret") if name not in named]:
        raise BadSetting(f"{_lacks('token')} Or send a client's credentials; {missing[0]} is missing of them.")
    import httpx

    from headgate.client import NotAllowed, Unavailable

    form = {"grant_type": "client_credentials", **{name: named[name] for name in ("client_id", "client_secret")}}
    try:
        answer = httpx.post(f"{named['url'].rstrip('/')}/ims/token/v3", data=form, timeout=30)
    except httpx.TransportError as error:
        raise Unavailable(f"{named['url']} does not answer ({error}).") from error
    if answer.is_error:
        raise NotAllowed(f"{named['url']} gives no token to the client {named['client_id']}.", status=401)
    return str(answer.json()["access_token"])


def _lacks(name: str) -> str:
    return f"The service elsewhere is named without {name}. Set {_MEMBERS[name]}, or write {name} into the profile."


def _profile(name: str) -> Mapping[str, str]:
    path = Path(os.environ.get("XDG_CONFIG_HOME") or "~/.config").expanduser() / "headgate" / "profiles.toml"
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise BadSetting(f"{path} holds secrets and may be read by others. Run `chmod 600 {path}`.")
            known = tomllib.load(file)
    except FileNotFoundError:
        raise BadSetting(f"There is no {path}, which the profile {name!r} would be in.") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSetting(f"{path} cannot be read: {error}.") from None
    section = known.get(name)
    if not isinstance(section, dict):
        raise BadSetting(f"{path} has no profile {name!r}; there is {', '.join(known) or 'none'}.")
    if strange := [key for key in section if key not in _MEMBERS]:
        raise BadSetting(f"{path}: {name}.{strange[0]} is not known. Members: {', '.join(_MEMBERS)}.")
    return {key: str(value) for key, value in section.items()}


def _tell(answer: "httpx.Response") -> None:
    """Say on stderr what was asked and answered, and by which id the service's log has it: no header, no body."""
    asked = answer.request
    took = f" in {answer.elapsed.total_seconds() * 1000:.0f} ms" if answer.is_closed else ""
    id_ = answer.headers.get("x-request-id", "none")
    click.echo(f"{asked.method} {asked.url} {answer.status_code}{took}, request id {id_}", err=True)
