"""`headgate doctor` and `headgate config`: is this installation well, and what is it set to?"""

import os
import re
import sys
import time
import tomllib
from dataclasses import asdict
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_many

if TYPE_CHECKING:
    from headgate.service.examining import Finding

__all__ = ["config", "doctor"]

_LATE = 5.0  # seconds that two clocks may differ


@click.command()
@data_option
@output_option
def doctor(data: Path | None, output: str) -> None:
    """Look at all that this installation needs, and say what to do. Exits with 1 when there is a problem."""
    from headgate.errors import BadSetting
    from headgate.service.examining import Finding, examined
    from headgate.service.local import address, settings_for

    try:
        settings = settings_for(data)
    except BadSetting as error:
        findings = [Finding("settings", "problem", error.detail, "docs/reference/settings.md lists them.")]
    else:
        findings = [Finding("settings", "ok", "they can be read"), *examined(settings)]
        if settings.keys.exists():
            findings += _service(address(settings))
    words = {"ok": "✓ ok", "note": "· note", "problem": "✗ problem"}
    show_many(
        [asdict(finding) for finding in findings],
        output,
        (("check", "check"), ("", lambda each: words[each["state"]]), ("found", "found"), ("what to do", "advice")),
        id_="check",
    )
    if any(finding.state == "problem" for finding in findings):
        sys.exit(1)


def _service(url: str) -> "list[Finding]":
    """Whether the service answers, and whether its clock is ours."""
    import httpx

    from headgate.service.examining import Finding

    try:
        answer = httpx.get(f"{url}/health/ready", timeout=10)
    except httpx.HTTPError as error:
        return [Finding("service", "note", f"{url} does not answer ({error})", "Run headgate serve.")]
    if answer.is_error:
        return [Finding("service", "problem", f"{url} is not ready: {answer.text[:200]}", "See its log.")]
    found = [Finding("service", "ok", f"{url} is ready")]
    apart = time.time() - parsedate_to_datetime(answer.headers["date"]).timestamp()
    if abs(apart) > _LATE:
        advice = "Set the clocks: windows that end now, tokens and leases go by them."
        return [*found, Finding("clock", "problem", f"{apart:+.0f} s from the service's", advice)]
    return [*found, Finding("clock", "ok", "as the service's")]


@click.group()
def config() -> None:
    """Show what this installation is set to."""


@config.command()
@data_option
@click.option("--changed", is_flag=True, help="Only those that are not the default.")
@output_option
def show(data: Path | None, changed: bool, output: str) -> None:
    """Show each setting, its value and where it comes from. Secrets are hidden."""
    from headgate.config import Settings
    from headgate.service.local import settings_for

    settings = settings_for(data)
    in_file = _in_file()
    items = []
    for name in Settings.model_fields:
        variable = f"HEADGATE_{name.upper()}"
        origin = "headgate.toml" if name in in_file else "default"
        if variable in os.environ:
            origin = variable
        if name == "data" and data is not None and os.environ.get(variable) != str(data):
            origin = "--data"
        if origin != "default" or not changed:
            items.append({"setting": variable, "value": _shown(name, getattr(settings, name)), "from": origin})
    columns = (("setting", "setting"), ("value", "value"), ("from", "from"))
    show_many(items, output, columns, id_="setting")


def _in_file() -> set[str]:
    path = Path("headgate.toml")
    return set(tomllib.loads(path.read_text(encoding="utf-8"))) if path.exists() else set()


def _shown(name: str, value: Any) -> Any:
    """A setting's value as JSON, without what may be secret."""
    from pydantic_core import to_jsonable_python

    if name == "issuers":
        return [{"url": issuer.url} for issuer in value]
    found = to_jsonable_python(value, fallback=str)
    if name == "secrets_key_command":  # what it is called with may be one
        return f"{found.split()[0]} …" if found else ""
    if isinstance(found, str):  # the metadata's address may hold a password
        return re.sub(r"(?<=://)([^/@:]*):[^/@]*@", r"\1:**********@", found)
    return found
