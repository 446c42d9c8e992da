"""The table of docs/reference/sources.md: what the catalogue says of each source, and how fast it was measured.

    python -m tests.conformance.reference

writes it anew. How a source is read, and in which splits, is what people write in the table itself; the rest is taken
from the catalogue, which the suite holds to the truth, and from the rates that `bench/sources.py --write` keeps.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from headgate.sources import ConnectionSpec, connection_specs
from headgate.sources.rest.loading import built_in

__all__ = ["PAGE", "page"]

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = _REFERENCE / "sources.md"
_RATES = _REFERENCE / "rates.json"
_HEAD = "| connection spec | verified | parameters of the connection | rows a second | how it is read | splits |"


def page() -> str:
    """The page with its table as it has to be. Raises KeyError for a source that nobody has described."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first = next(at for at, line in enumerate(lines) if line.startswith("| connection spec |"))
    last = next(at for at in range(first, len(lines)) if not lines[at].startswith("|"))
    written = {name: cells[-2:] for cells in map(_cells, lines[first + 2 : last]) for name in _names(cells[0])}
    rates = json.loads(_RATES.read_text(encoding="utf-8"))
    table = [_HEAD, "|---|---|---|---|---|---|"]
    for spec in connection_specs():
        if spec.runnable and spec.is_source:
            rate = f"{round(rates[spec.name], -3):,}" if spec.name in rates else ""
            cells = (
                f"`{spec.name}`",
                str(spec.verified),
                _parameters(spec),
                rate,
                *(written.get(spec.name) or _of_manifest(spec)),
            )
            table.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines[:first], *table, *lines[last:]]) + "\n"


def _of_manifest(spec: ConnectionSpec) -> tuple[str, str]:
    """How an API is read, and in which splits, until somebody writes more about it."""
    manifest = built_in(spec.name, [auth.schema for auth in spec.auth_specs])
    names = ", ".join(f"`{name}`" for name in manifest.streams) or "what its metadata lists"
    sliced = any(stream.slice for stream in manifest.streams.values())
    return f"[its API](#apis): {names}", "slices of time" if sliced else "one"


def _parameters(spec: ConnectionSpec) -> str:
    """Of each way to authenticate, what it needs and, in brackets, what it takes besides."""
    return "; or ".join(" ".join(_of(auth.schema)) for auth in spec.auth_specs) or "none"


def _of(schema: object) -> Iterator[str]:
    assert isinstance(schema, dict)
    needed = schema.get("required", [])
    yield ", ".join(f"`{name}`" for name in needed)
    more = ", ".join(f"`{name}`" for name in schema["properties"] if name not in needed)
    if more:
        yield f"({more})"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


def _names(cell: str) -> list[str]:
    return [part.strip(" `|") for part in cell.split(",")]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
