"""A run as a progress bar."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

__all__ = ["bar"]


@contextmanager
def bar(console: Console) -> Iterator[Callable[[dict[str, Any]], None]]:
    """A bar on `console`, as long as the run has splits; call what it gives with every run object read."""
    columns = (
        SpinnerColumn(),
        TextColumn("{task.fields[state]}"),
        BarColumn(),
        TextColumn("{task.fields[detail]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("run", total=None, state="scheduled", detail="")

        def advance(run: dict[str, Any]) -> None:
            metrics = run["metrics"]
            under_way = metrics.get("progress", {})
            ended = "completedAtUTC" in metrics.get("durationSummary", {})
            rows = metrics.get("recordSummary", {}).get("inputRecordCount", 0)
            staged = under_way.get("stagedBytes", metrics.get("sizeSummary", {}).get("outputBytes", 0))
            progress.update(
                task,
                total=1 if ended else under_way.get("splitsTotal") or None,
                completed=1 if ended else under_way.get("splitsDone", 0),
                state=metrics["statusSummary"]["status"],
                detail=f"{rows:,} rows · {staged / 1e6:,.1f} MB",
            )

        yield advance
