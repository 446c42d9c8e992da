"""Reading server-sent events off an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = ["Told", "lines_of", "told"]


@dataclass(frozen=True)
class Told:
    """One event."""

    id: str
    name: str
    data: Any


def told(answer: httpx.Response) -> Iterator[Told]:
    """The events of an answer that is being streamed, until it ends; their data is JSON."""
    for event in lines_of(answer):
        yield Told(event.id, event.name, json.loads(event.data))


def lines_of(answer: httpx.Response) -> Iterator[Told]:
    """The same with the data as the text that it is."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if name == "data" and "data" in fields:
            fields["data"] += f"\n{value}"
        elif line:
            fields[name] = value
        elif "data" in fields:
            yield Told(fields["id"], fields["event"], fields["data"])
            fields = {}
