"""Reading server-sent events off an answer."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx

__all__ = ["Told", "told"]


@dataclass(frozen=True)
class Told:
    """One event."""

    id: str
    name: str
    data: Any


def told(answer: httpx.Response) -> Iterator[Told]:
    """The events of an answer that is being streamed, until it ends."""
    fields: dict[str, str] = {}
    for line in answer.iter_lines():
        name, _, value = line.partition(": ")
        if line:
            fields[name] = value
        elif "data" in fields:
            yield Told(fields["id"], fields["event"], json.loads(fields["data"]))
            fields = {}
