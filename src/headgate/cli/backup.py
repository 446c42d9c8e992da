"""`headgate backup`, `headgate restore`, and `headgate db reconcile`, which a restore ends with."""

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from headgate import telemetry
from headgate.cli.options import data_option, output_option, yes_option
from headgate.cli.output import Column, show_many, show_one
from headgate.model.runs import Json

if TYPE_CHECKING:
    from headgate.service.reconciliation import Difference

__all__ = ["backup", "reconcile", "restore"]

_FIELDS: tuple[Column, ...] = (
    ("backup", "backup"),
    ("of", "data"),
    ("made at", "madeAt"),
    ("files", "files"),
    ("size", lambda each: f"{each['bytes'] / 1e6:,.1f} MB"),
    ("keys", "keys"),
    ("left out", "leftOut"),
)
_DIFFERENCES: tuple[Column, ...] = (
    ("table", "table"),
    ("run", "run"),
    ("found", "found"),
    ("correction", lambda each: each["correction"] or "none"),
)
_EVERY = 2.0  # seconds between two lines of progress


@click.command()
@click.argument("to", type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--since",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="An earlier backup on the same disk. Files that it has become links to it.",
)
@click.option(
    "--without-keys",
    is_flag=True,
    help="Leave the keys out, to be kept elsewhere: without them the backup can be restored by nobody.",
)
@data_option
@output_option
def backup(to: Path, since: Path | None, without_keys: bool, data: Path | None, output: str) -> None:
    """Save the data folder in the new folder TO, while the service runs. What is in it is as secret as the folder."""
    from headgate.service.backups import back_up

    made = back_up(data, to, since=since, with_keys=not without_keys, tell=_Progress("saved"))
    _show(to, made.wire(), output)
    if without_keys:
        click.echo("headgate: the keys are not in it; it cannot be restored without them", err=True)


@click.command()
@click.argument("source", metavar="FROM", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option("--dry-run", is_flag=True, help="Only read the backup and hold every file to its checksum.")
@data_option
@output_option
def restore(source: Path, dry_run: bool, data: Path | None, output: str) -> None:
    """Have the data folder, which must be empty, hold what the backup FROM does.

    It goes where it was: tables name their files by their whole paths. Runs that were just landing when the backup was
    made end at once. Exits with 1 when `headgate db reconcile` is to be called for something else.
    """
    from headgate.service.restoring import restore as bring_back

    found = bring_back(data, source, dry_run=dry_run, tell=_Progress("read"))
    _show(source, found.wire(), output)
    if dry_run:
        click.echo("headgate: the backup is whole; nothing was restored", err=True)
        return
    from headgate.service.reconciliation import Kind, reconciling

    with telemetry.hushed(), reconciling(data) as reconciliation:
        differences = reconciliation.differences()
        landed = [each for each in differences if each.kind is Kind.LANDED]
        left = [*reconciliation.correct(landed), *(each for each in differences if each.kind is not Kind.LANDED)]
    for each in landed:
        if each not in left:
            click.echo(f"headgate: the run {each.run_id} had just landed and ended as a success", err=True)
    _complain(left, "`headgate db reconcile` shows them.")


@click.command()
@click.option("--dry-run", is_flag=True, help="Only show what differs.")
@click.option(
    "--take-out",
    is_flag=True,
    help="Delete the rows of runs whose flows the metadata does not know.",
)
@yes_option
@data_option
@output_option
def reconcile(dry_run: bool, take_out: bool, yes: bool, data: Path | None, output: str) -> None:
    """Make the metadata say of runs what the lake holds of them, after one of the two was restored.

    For who restored PostgreSQL or the warehouse by other means, before any worker is started. Exits with 1 when
    something still differs.
    """
    from headgate.service.reconciliation import Kind, reconciling

    with telemetry.hushed(), reconciling(data) as reconciliation:
        found = reconciliation.differences()
        show_many([each.wire for each in found], output, _DIFFERENCES, id_="run")
        correctable = [each for each in found if each.correction or (take_out and each.kind is Kind.FOREIGN)]
        if correctable and not dry_run and (yes or click.confirm(f"Correct {len(correctable)}?", err=True)):
            left = reconciliation.correct(found, take_out=take_out)
        else:
            left = found
    if not found:
        click.echo("headgate: the metadata and the lake say the same of all runs", err=True)
    _complain(left, "See docs/how-to/back-up.md.")


def _complain(left: "Sequence[Difference]", advice: str) -> None:
    if left:
        click.echo(f"headgate: the metadata and the lake still differ in {len(left)}. {advice}", err=True)
        sys.exit(1)


def _show(folder: Path, wire: Json, output: str) -> None:
    sizes = [file["size"] for file in wire["files"]]
    told = {name: wire[name] for name in ("data", "madeAt", "keys", "leftOut")}
    show_one({"backup": str(folder), **told, "files": len(sizes), "bytes": sum(sizes)}, output, _FIELDS, id_="backup")


class _Progress:
    """Says on stderr, every two seconds, how much was done."""

    def __init__(self, done_in_words: str) -> None:
        self._words = done_in_words
        self._last = time.monotonic()

    def __call__(self, done: int, total: int) -> None:
        if time.monotonic() - self._last >= _EVERY:
            self._last = time.monotonic()
            click.echo(f"{self._words}: {done / 1e6:,.1f} of {total / 1e6:,.1f} MB", file=sys.stderr)
