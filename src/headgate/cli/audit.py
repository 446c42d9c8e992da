"""`headgate audit`: who did what."""

import json
import re
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import click

from headgate.cli.calling import Call
from headgate.cli.kinds import LINKED
from headgate.cli.options import data_option, output_option
from headgate.cli.output import show_document, show_many
from headgate.model.addresses import HEADGATE
from headgate.model.runs import Json

__all__ = ["audit"]

_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


class _Since(click.ParamType[int]):
    """A time, given in ISO 8601 or as how long ago it was, in milliseconds since the epoch."""

    name = "time"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Read `value`."""
        text = str(value)
        if (ago := re.fullmatch(r"(\d{1,9})([smhdw])", text)) is not None:
            return round((time.time() - int(ago[1]) * _SECONDS[ago[2]]) * 1000)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            self.fail(
                f"{text!r} is no time; send for instance 2026-03-01, 2026-03-01T12:00Z, 30m, 12h or 7d.", param, ctx
            )
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)


@click.command()
@data_option
@click.option("--since", type=_Since(), help="Only from then on: an ISO time (UTC unless it says), or 30m, 12h, 7d.")
@click.option("--org", help="Only of this organisation.")
@click.option("--principal", help="Only what this principal did.")
@click.option("--action", help="Only this action, for instance create, update, delete, denied.")
@click.option("--resource", help="Only of the resource with this id, or of this kind, for instance connections.")
@click.option("--limit", default=100, show_default=True, type=click.IntRange(0), help="The newest so many; 0 for all.")
@output_option
def audit(
    data: Path | None,
    since: int | None,
    org: str | None,
    principal: str | None,
    action: str | None,
    resource: str | None,
    limit: int,
    output: str,
) -> None:
    """Show who did what to which resource, oldest first; refusals too. With --output json, one object a line."""
    given = {"since": since, "principal": principal, "action": action, "resource": resource}
    call = Call.of(data, output)
    found = _elsewhere(call, given, org, limit) if call.is_elsewhere else _here(data, given, org, limit)
    if output == "json":
        for entry in found:
            click.echo(json.dumps(entry))
        return
    if output == "yaml":
        show_document(list(found), output)
        return
    names = ("at", "principal", "action", "kind", "resource", "sandbox", "requestId")
    show_many(found, output, [(name, name) for name in names], id_="requestId")


def _here(data: Path | None, given: Json, org: str | None, limit: int) -> Iterator[Json]:
    from headgate.service.audit import AuditFilter, entries

    since = given.pop("since")
    return entries(data, AuditFilter(since_ms=since, org_id=org, **given), limit or None)


def _elsewhere(call: Call, given: Json, org: str | None, limit: int) -> Iterator[Json]:
    """The same of the caller's organisation, as its service tells it."""
    if org is not None and org != call.credentials()["orgId"]:
        raise click.UsageError("--org names another organisation than the one that the credentials are of.")
    asked = {name: value for name, value in given.items() if value is not None}
    with call.client() as client:
        return reversed(list(LINKED.read(client, f"{HEADGATE}/audit", asked, limit)))
