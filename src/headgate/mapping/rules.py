"""One mapping: where a value comes from and where it goes, and the paths that say so.

Grammar: `name ("." name | "[" index "]" | "[*]")*`; in a name a backslash takes the next character as it stands,
so `Full\\.Name` is one name. `[0]` is the first element of a list, `[*]` each one.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

__all__ = ["EACH", "Path", "Rule", "SourceType", "Step", "Unmappable", "rule_of", "written_path"]

EACH = None
Step = str | int | None
"""A name, the index of a list's element, or `EACH`."""
Path = tuple[Step, ...]

_LONGEST = 4096
_DEEPEST = 32
_LAST_INDEX = 999
_PART = re.compile(r"\[(?P<index>\*|[0-9]{1,9})\]|(?P<dot>\.?)(?P<name>(?:\\.|[^.\[\]\\])+)", re.DOTALL)


class SourceType(StrEnum):
    """What a mapping's `source` is."""

    ATTRIBUTE = "ATTRIBUTE"
    EXPRESSION = "EXPRESSION"
    STATIC = "STATIC"


class Unmappable(Exception):
    """A mapping that cannot be carried out: `reason` is a sentence, `rule` the mapping it concerns, if one."""

    def __init__(self, reason: str, rule: "Rule | None" = None) -> None:
        where = f"The mapping from {rule.source[:80]!r} to {rule.destination[:80]!r}: " if rule else ""
        super().__init__(where + reason)
        self.reason, self.rule = reason, rule


@dataclass(frozen=True, slots=True)
class Rule:
    """One mapping. Of an ATTRIBUTE `source` is a path, of a STATIC a text, of an EXPRESSION its text."""

    type: SourceType
    source: str
    destination: str

    @property
    def source_path(self) -> Path:
        """The path that an ATTRIBUTE reads. Raises Unmappable."""
        return self._path(self.source, "source")

    @property
    def destination_path(self) -> Path:
        """Where the value goes. Raises Unmappable."""
        path = self._path(self.destination, "destination")
        if str(path[0]).lower().startswith("_headgate_"):
            raise Unmappable("destination: names that begin with _headgate_ are reserved.", self)
        return path

    def _path(self, text: str, member: str) -> Path:
        steps: list[Step] = []
        at = 0
        while at < len(text):
            found = _PART.match(text, at)
            if found is None or (found["name"] and bool(found["dot"]) != bool(steps)):
                raise Unmappable(
                    f"{member}: there is no path in {text[at : at + 40]!r}. Write a.b, a[0] or a[*].b.", self
                )
            at = found.end()
            if found["name"]:
                steps.append(re.sub(r"\\(.)", r"\1", found["name"], flags=re.DOTALL))
            else:
                steps.append(EACH if found["index"] == "*" else int(found["index"]))
        if not steps or not isinstance(steps[0], str):
            raise Unmappable(f"{member}: a path begins with a name.", self)
        if len(steps) > _DEEPEST:
            raise Unmappable(f"{member}: the path has {len(steps)} steps; {_DEEPEST} are allowed.", self)
        if any(isinstance(step, int) and step > _LAST_INDEX for step in steps):
            raise Unmappable(f"{member}: an index is at most {_LAST_INDEX}.", self)
        return tuple(steps)


def rule_of(mapping: Mapping[str, Any]) -> Rule:
    """The rule that a mapping of a mapping set is, in the new or the older spelling. Raises Unmappable."""
    older = "sourceAttribute" in mapping or "destinationXdmPath" in mapping
    source = mapping.get("sourceAttribute" if older else "source")
    destination = mapping.get("destinationXdmPath" if older else "destination")
    type_ = mapping.get("sourceType") or SourceType.ATTRIBUTE
    type_ = type_.upper() if isinstance(type_, str) else type_
    for name, value in (("source", source), ("destination", destination)):
        if not isinstance(value, str) or (not value and not (name == "source" and type_ == SourceType.STATIC)):
            raise Unmappable(f"A mapping's {name} is {repr(value)[:80]}; send a text.")
        if len(value) > _LONGEST:
            raise Unmappable(f"A mapping's {name} has {len(value)} characters; {_LONGEST} are allowed.")
    if type_ not in list(SourceType):
        raise Unmappable(f"A mapping's sourceType is {repr(type_)[:80]}; send {', '.join(SourceType)}.")
    return Rule(SourceType(type_), str(source), str(destination))


def written_path(path: Path) -> str:
    """A path as it is written."""
    text = ""
    for step in path:
        if isinstance(step, str):
            text += ("." if text else "") + re.sub(r"([.\[\]\\])", r"\\\1", step)
        else:
            text += f"[{'*' if step is EACH else step}]"
    return text
