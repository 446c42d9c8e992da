"""Where something stands in a JSON document: `data.items[].node`, `'@odata.nextLink'`, `values.0.value`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["Path"]

_STEP = re.compile(r"(?:'([^']*)'|([^.'\[\]]*))((?:\[\])*)(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Path:
    """Steps by name, or by number into a list; after a step that is `[]`, what follows is taken of every member."""

    text: str
    steps: tuple[str | None, ...]  # None stands for every member

    @classmethod
    def of(cls, text: str) -> "Path":
        """Read `text`; empty is the whole document. Raises ValueError."""
        steps: list[str | None] = []
        at = 0
        while at < len(text):
            found = _STEP.match(text, at)
            if found is None or found.end() == at:
                raise ValueError(f"{text!r} is no path, such as data.items or '@odata.nextLink'")
            name = found[1] if found[1] is not None else found[2]
            if not name and not found[3]:
                raise ValueError(f"{text!r} holds a step without a name")
            steps += [name] if name else []
            steps += [None] * (len(found[3]) // 2)
            at = found.end()
        return cls(text, tuple(steps))

    @classmethod
    def plain(cls, name: str) -> "Path":
        """The member that is called `name`, whatever it is made of."""
        return cls(name, (name,))

    def first(self, document: Any) -> Any:
        """What stands there, None when nothing does."""
        return next(self.all(document), None)

    def all(self, document: Any) -> Iterator[Any]:
        """Everything that stands there."""
        yield from _walked(document, self.steps)


def _walked(found: Any, steps: tuple[str | None, ...]) -> Iterator[Any]:
    for at, step in enumerate(steps):
        if step is None:
            if isinstance(found, list):
                for part in found:
                    yield from _walked(part, steps[at + 1 :])
            return
        if isinstance(found, Mapping):
            found = found.get(step)
        elif isinstance(found, list) and step.isdigit():
            found = found[int(step)] if int(step) < len(found) else None
        else:
            return
        if found is None:
            return
    yield found
