"""`headgate flows`: what is brought from where into which dataset."""

import click

from headgate.cli.bodies import Specs
from headgate.cli.calling import Call, calling
from headgate.cli.documents import file_option, put, read_object, set_option
from headgate.cli.kinds import FLOWS, MAPPING_SETS, SOURCES, TARGETS
from headgate.cli.output import moment
from headgate.cli.wording import Filling
from headgate.model.runs import Json

__all__ = ["copy_transformation", "flows", "mapping_transformation"]


@click.group()
def flows() -> None:
    """Say what is brought from a source into a dataset, and when."""


FLOWS.add_reading(flows)


@flows.command()
@click.argument("name", required=False)
@click.option("--source", help="Source connection, by name or id.")
@click.option("--target", help="Target connection, by name or id.")
@click.option("--delta-column", help="Column that is compared with a run's window.")
@click.option("--mapping-set", help="Mapping set, by name or id.")
@click.option(
    "--frequency",
    cls=Filling,
    fills=("scheduleParams.frequency",),
    type=click.Choice(["once", "minute", "hour", "day", "week"]),
    help="How often it runs by itself.  [default: once]",
)
@click.option(
    "--interval",
    cls=Filling,
    fills=("scheduleParams.interval",),
    type=click.IntRange(1),
    help="So many of them between two runs.",
)
@click.option(
    "--start",
    cls=Filling,
    fills=("scheduleParams.startTime",),
    help="Time of the first run: ISO 8601, tomorrow …  [default: now]",
)
@click.option(
    "--backfill/--no-backfill",
    cls=Filling,
    fills=("scheduleParams.backfill",),
    default=None,
    help="Whether the first scheduled run brings everything.",
)
@set_option
@file_option
@click.option("--draft", is_flag=True, help="Make a draft, which may lack members.")
@calling
def create(
    call: Call,
    name: str | None,
    source: str | None,
    target: str | None,
    delta_column: str | None,
    mapping_set: str | None,
    frequency: str | None,
    interval: int | None,
    start: str | None,
    backfill: bool | None,
    sets: tuple[str, ...],
    file: str | None,
    draft: bool,
) -> None:
    """Make a flow. Without a frequency it only runs when somebody starts a run."""
    from headgate.client import parse_time

    schedule: Json = {
        "frequency": frequency,
        "interval": interval,
        "startTime": str(parse_time(start) // 1000) if start else None,
        "backfill": backfill,
    }
    schedule = {member: value for member, value in schedule.items() if value is not None}
    with call.client() as client:
        body = read_object(file)
        transformations = [copy_transformation(delta_column)] if delta_column else []
        if mapping_set:
            transformations.append(mapping_transformation(MAPPING_SETS.find(client, mapping_set)))
        if source and target:
            read, written = SOURCES.find(client, source), TARGETS.find(client, target)
            title = name or body.get("name") or read["name"]
            body |= Specs(client).flow(title, read, written["id"], schedule, transformations)
        elif source or target:
            raise click.UsageError("A flow has a --source and a --target.")
        elif name:
            body["name"] = name
        put(body, sets)
        made = client.request("POST", FLOWS.path, body=body, **({"mode": "draft"} if draft else {}))
        flow = FLOWS.get(client, made["id"])
        call.show_one(flow, FLOWS.fields)
        FLOWS.see_double(call, client, flow)


@flows.command()
@FLOWS.argument("flow")
@click.option("--from", "start", help="Start of the time, inclusive.  [default: where the newest runs begin]")
@click.option("--to", "end", default="now", show_default=True, help="End of the time, exclusive.")
@calling
def windows(call: Call, flow: str, start: str | None, end: str) -> None:
    """Show which time a flow's runs have brought, what failed, and what is missing."""
    from headgate.client import parse_time

    asked = {name: parse_time(text) for name, text in (("from", start), ("to", end)) if text is not None}
    if asked.get("from", asked["to"]) > asked["to"]:
        raise click.UsageError(f"--to {moment(asked['to'])} is before --from {moment(asked['from'])}.")
    with call.client() as client:
        found = client.request("GET", FLOWS.at(FLOWS.find(client, flow)["id"], "/windows"), **asked)
    if call.output in ("json", "yaml"):
        call.show_one(found, ())
        return
    call.show(found["items"], (("window (UTC)", _window), ("state", "state")), id_="windowStartTime")
    call.note(f"A run without --from would bring {_window(found['sinceLastSuccess'])}.")


def _window(span: Json) -> str:
    return f"[{moment(span['windowStartTime'])}, {moment(span['windowEndTime'])})"


FLOWS.add_patch(flows)
FLOWS.add_actions(flows, "enable", "disable", "publish")
FLOWS.add_delete(flows)


def copy_transformation(delta_column: str) -> Json:
    """What names the delta column of a flow."""
    return {"name": "Copy", "params": {"deltaColumn": {"name": delta_column}}}


def mapping_transformation(mapping_set: Json) -> Json:
    """What has a flow map its columns."""
    return {
        "name": "Mapping",
        "params": {"mappingId": mapping_set["id"], "mappingVersion": str(mapping_set["version"])},
    }
