"""The tables of docs/reference/sources.md: what the catalogue says of each source, and how fast it was measured.

    python -m tests.conformance.reference

writes them anew, one for each category. How a file or a database is read, and in which splits, is what people write in
the tables themselves; the rest is taken from the catalogue, which the suite holds to the truth, from the manifests, and
from the rates that `bench/sources.py --write` keeps.
"""

import json
from collections.abc import Iterator
from pathlib import Path

from headgate.sources import ConnectionSpec, connection_specs
from headgate.sources.rest.loading import built_in, shipped

__all__ = ["PAGE", "page"]

_REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
PAGE = _REFERENCE / "sources.md"
_RATES = _REFERENCE / "rates.json"
_BEGIN, _END = "<!-- sources: written by tests/conformance/reference.py -->", "<!-- end of the sources -->"
_HEAD = "| connection spec | verified | parameters of the connection | rows a second | how it is read | splits |"
_TITLES = {
    "advertising": "Advertising",
    "analytics": "Analytics",
    "cloudStorage": "Files and object stores",
    "consentAndPreferences": "Consent and preferences",
    "crm": "Customer relations (CRM)",
    "customerSuccess": "Customer success",
    "database": "Databases",
    "ecommerce": "E-commerce",
    "marketingAutomation": "Marketing automation",
    "payments": "Payments",
    "protocols": "Protocols",
}


def page() -> str:
    """The page with its tables as they have to be. Raises KeyError for a source that nobody has described."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    first, last = lines.index(_BEGIN), lines.index(_END)
    rows = [_cells(line) for line in lines[first:last] if line.startswith("| `")]
    written = {cells[0].strip("`"): (cells[-2], cells[-1]) for cells in rows}
    rates = json.loads(_RATES.read_text(encoding="utf-8"))
    readable = [spec for spec in connection_specs() if spec.runnable and spec.is_source]
    tables: list[str] = []
    for category in sorted({spec.category for spec in readable}, key=_TITLES.__getitem__):
        tables += [f"### {_TITLES[category]}", "", _HEAD, "|---|---|---|---|---|---|"]
        for spec in readable:
            if spec.category == category:
                rate = f"{round(rates[spec.name], -3):,}" if spec.name in rates else ""
                how = _of_manifest(spec) if spec.name in shipped() else written[spec.name]
                tables.append(
                    f"| {' | '.join((f'`{spec.name}`', str(spec.verified), _parameters(spec), rate, *how))} |"
                )
        tables.append("")
    return "\n".join([*lines[:first], _BEGIN, "", *tables, *lines[last:]]) + "\n"


def _of_manifest(spec: ConnectionSpec) -> tuple[str, str]:
    """How an API is read, and in which splits."""
    manifest = built_in(spec.name, [auth.schema for auth in spec.auth_specs])
    found = "what its metadata lists" if manifest.discover else "what a source connection says of it"
    names = ", ".join(f"`{name}`" for name in manifest.streams) or found
    sliced = any(stream.slice for stream in manifest.streams.values())
    return f"[its API](#apis): {names}", "slices of time" if sliced else "one"


def _parameters(spec: ConnectionSpec) -> str:
    """Of each way to authenticate that is served, what it needs and, in brackets, what it takes besides."""
    served = {auth.name for auth in spec.auth_specs}
    if spec.name in shipped():
        known = built_in(spec.name, [auth.schema for auth in spec.auth_specs]).auth.keys()
        served = served if "" in known else served & known
    return "; or ".join(" ".join(_of(auth.schema)) for auth in spec.auth_specs if auth.name in served) or "none"


def _of(schema: object) -> Iterator[str]:
    assert isinstance(schema, dict)
    needed = schema.get("required", [])
    yield ", ".join(f"`{name}`" for name in needed)
    more = ", ".join(f"`{name}`" for name in schema["properties"] if name not in needed)
    if more:
        yield f"({more})"


def _cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split(" | ")]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
