"""Tables on the terminal. Values are shown as they are: no markup, nothing cut that somebody may need to copy."""

import sys
from collections.abc import Iterable, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

__all__ = ["print_table"]

_WIDE = 10_000  # columns where nobody's screen sets a limit


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Print `rows` under `names`. A narrow screen folds long values; the first column is never folded."""
    table = Table()
    for number, name in enumerate(names):
        table.add_column(Text(name), overflow="fold", no_wrap=number == 0)
    for row in rows:
        table.add_row(*(Text(value) for value in row))
    console = Console(markup=False, emoji=False, highlight=False)
    if not sys.stdout.isatty():
        console.width = _WIDE
    console.print(table)
