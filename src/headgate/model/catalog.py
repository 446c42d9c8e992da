"""The Catalog's listing grammar, which is not the flow service's, and the status of a batch.

`limit`, `start`, `orderBy=asc:a,desc:b`, `properties=a,b`; `<member>=v1,v2` (any of), `<member>=!v1,v2` (none of);
`property=<member>`, `!<member>`, `<member>~<pattern>` and `<member><op><value>`; `tags=k:v,k2:v*,k3:*`; and times such
as `createdAfter`, in milliseconds. Everything is joined by AND.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from headgate.errors import (
    BadFilterValue,
    BadOrderBy,
    EmptyFilterValue,
    OperatorNotForField,
    OperatorTakesOneValue,
    UnknownField,
    UnknownParameter,
)
from headgate.model.query import whole_number

__all__ = ["LONGEST_MATCHED", "BatchStatus", "CatalogQuery", "Condition", "Grammar", "Member"]

DEFAULT_LIMIT, MAX_LIMIT = 20, 100
_LONGEST = 200
_MOST_VALUES = 100
# Each more makes the worst text as many times slower to look at as it has characters, so both are bounded.
_MOST_QUANTIFIERS, _MOST_STARS = 2, 3
LONGEST_MATCHED = 256  # characters of a text that is held against a pattern
_PROPERTY = re.compile(r"(?P<name>[A-Za-z_][\w.]*)(?P<op>==|!=|<=|>=|~|<|>)(?P<value>.*)", re.DOTALL)
_BARE = re.compile(r"(?P<absent>!?)(?P<name>[A-Za-z_][\w.]*)")
_TIMES = {"created": "created", "start": "started", "end": "completed"}
# A pattern without groups, alternatives or counts, so that no engine takes long over it.
_ATOM = r"(?:[^\\()\[\]{}|^$*+?\n]|\\[\\().\[\]{}|^$*+?/-]|\\[dws]|\[\^?(?:[^\\\[\]]|\\[\\\]^-])+\])"
_PATTERN = re.compile(rf"\^?(?:{_ATOM}[*+?]?)*\$?")

Op = Literal["exists", "absent", "in", "not in", "~", "<", "<=", ">", ">=", "tag"]


class BatchStatus(StrEnum):
    """Where a batch stands, in the Catalog's words. Those that no run is ever in find no batch."""

    PROCESSING = "processing"
    SUCCESS = "success"
    FAILURE = "failure"
    QUEUED = "queued"
    RETRYING = "retrying"
    STALLED = "stalled"
    ABORTED = "aborted"
    ABANDONED = "abandoned"
    INACTIVE = "inactive"
    FAILED = "failed"
    LOADING = "loading"
    LOADED = "loaded"
    STAGED = "staged"
    ACTIVE = "active"
    STAGING = "staging"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Member:
    """A member that can be filtered by: a store column, or a path into a JSON one such as `body.name`.

    `wildcards`: its values may hold `*` for any characters, and `**` for one asterisk. `choices` are all the
    values it can have, when those are known.
    """

    column: str
    type: Literal["text", "number", "object"] = "text"
    wildcards: bool = False
    folded: bool = False  # compared without regard to letter case
    choices: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Condition:
    """`member op values`. The operator `tag` has the tag's name, and its value, which may end in `*`."""

    member: Member
    op: Op
    values: tuple[str | int, ...] = ()


@dataclass(frozen=True, slots=True)
class CatalogQuery:
    """What a listing asks for. `order` are members, each with whether it is ascending."""

    conditions: tuple[Condition, ...] = ()
    order: tuple[tuple[Member, bool], ...] = ()
    limit: int = DEFAULT_LIMIT
    start: int = 0
    properties: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Grammar:
    """What one collection may be asked: its members, other names for them, and parameters that change nothing."""

    members: Mapping[str, Member]
    aliases: Mapping[str, str]
    ignored: frozenset[str] = frozenset()

    def read(self, parameters: Sequence[tuple[str, str]], *, limit: int = DEFAULT_LIMIT) -> CatalogQuery:
        """Read the query parameters of a listing. Raises the InvalidRequest that fits what is wrong."""
        conditions: list[Condition] = []
        order: tuple[tuple[Member, bool], ...] = ()
        start = 0
        properties: tuple[str, ...] = ()
        for name, value in parameters:
            if "\0" in value:
                raise BadFilterValue(f"{name[:40]} holds the character NUL.", parameter=name[:40])
            match name:
                case "limit":
                    limit = whole_number(name, value, 1, MAX_LIMIT)
                case "start":
                    start = whole_number(name, value)
                case "orderBy":
                    order = tuple(self._order(part.strip()) for part in value.split(","))
                case "properties":
                    properties = _names(value)
                case "property":
                    conditions.append(self._property(value))
                case "tags":
                    conditions += [self._tag(part.strip()) for part in value.split(",")]
                case _ if name in self.ignored:
                    pass
                case _:
                    conditions.append(self._parameter(name, value))
        return CatalogQuery(tuple(conditions), order, limit, start, properties)

    # -- inside ----------------------------------------------------------------------------------

    def _parameter(self, name: str, value: str) -> Condition:
        for suffix, op in (("After", ">"), ("Before", "<")):
            if name.endswith(suffix) and (member := self.members.get(_TIMES.get(name.removesuffix(suffix), ""))):
                return Condition(member, ">" if op == ">" else "<", (_number(name, value),))
        member = self._member(name)
        if member is None:
            known = ", ".join(sorted({*self.members, *self.aliases}))
            raise UnknownParameter(
                f"The query parameter {name[:40]!r} is not known here. Known: limit, start, orderBy, properties, "
                f"property, tags, and the members {known}.",
                parameter=name[:40],
            )
        negated = value.startswith("!")
        values = _values(name, member, value.removeprefix("!"))
        return Condition(member, "not in" if negated else "in", values)

    def _property(self, text: str) -> Condition:
        if bare := _BARE.fullmatch(text):
            return Condition(self._filterable(bare["name"]), "absent" if bare["absent"] else "exists")
        found = _PROPERTY.fullmatch(text)
        if not found:
            raise BadFilterValue(
                f"property={text[:80]!r} cannot be read. Send a member, !member, or member and ~, ==, !=, <, <=, > or "
                ">= with a value."
            )
        name, value = found["name"], found["value"].strip()
        member = self._filterable(name)
        match found["op"]:
            case "~":
                if member.type != "text":
                    raise OperatorNotForField(f"~ cannot be used with {name!r}, which is no text.", field=name)
                return Condition(member, "~", (_pattern(value),))
            case "==":
                return Condition(member, "in", _values(name, member, value))
            case "!=":
                return Condition(member, "not in", _values(name, member, value))
            case "<" | "<=" | ">" | ">=" as op:
                values = _values(name, member, value)
                if len(values) > 1:
                    raise OperatorTakesOneValue(f"{op} compares {name!r} with one value.", field=name, operator=op)
                return Condition(member, op, values)
        raise OperatorNotForField(field=name)

    def _tag(self, text: str) -> Condition:
        name, colon, value = text.partition(":")
        if not colon or not name or not value or '"' in name:
            raise BadFilterValue(f"tags holds {text[:80]!r}; send key:value, key:value* or key:*.", parameter="tags")
        return Condition(self.members["tags"], "tag", (name, value))

    def _order(self, text: str) -> tuple[Member, bool]:
        direction, colon, name = text.partition(":")
        if not colon:
            direction, name = "asc", text
        member = self._member(name)
        if direction not in ("asc", "desc") or member is None or member.type == "object":
            raise BadOrderBy(f"orderBy holds {text[:80]!r}; send asc: or desc: and a member, such as desc:created.")
        return member, direction == "asc"

    def _filterable(self, name: str) -> Member:
        if (member := self._member(name)) is None:
            known = ", ".join(sorted(self.members))
            raise UnknownField(f"{name[:80]!r} cannot be filtered by. Members: {known}.", field=name[:80])
        return member

    def _member(self, name: str) -> Member | None:
        return self.members.get(self.aliases.get(name, name))


def _values(name: str, member: Member, text: str) -> tuple[str | int, ...]:
    if member.type == "object":
        raise OperatorNotForField(f"{name!r} is no single value; ask whether it exists by property={name}.", field=name)
    parts = [part.strip() for part in text.split(",")]
    if "" in parts:
        raise EmptyFilterValue(f"The filter on {name!r} has no value.", field=name)
    if member.wildcards and any(part.replace("**", "").count("*") > _MOST_STARS for part in parts):
        raise BadFilterValue(f"The filter on {name!r} holds more than {_MOST_STARS} asterisks.", field=name)
    if len(parts) > _MOST_VALUES:
        raise BadFilterValue(f"The filter on {name!r} has {len(parts)} values; {_MOST_VALUES} are allowed.", field=name)
    if member.choices and (odd := set(parts) - member.choices):
        raise BadFilterValue(
            f"{name!r} is never {min(odd)[:40]!r}; it is one of {', '.join(sorted(member.choices))}.", field=name
        )
    return tuple(_number(name, part) for part in parts) if member.type == "number" else tuple(parts)


def _number(name: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,18}", text):
        raise BadFilterValue(f"{name!r} is compared with a number, not with {text[:40]!r}.", field=name)
    return int(text)


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pattern(text: str) -> str:
    """A pattern that every database reads alike and none takes long over."""
    plain = re.sub(r"\[[^\]]*\]|\\.", "", text)
    fits = (
        0 < len(text) <= _LONGEST and _PATTERN.fullmatch(text) and len(re.findall(r"[*+?]", plain)) <= _MOST_QUANTIFIERS
    )
    try:
        re.compile(text if fits else "")
    except re.error:
        fits = False
    if not fits:
        raise BadFilterValue(
            f"The pattern {text[:80]!r} cannot be used: it may hold ^, $, ., character classes, escapes, at most "
            f"{_MOST_QUANTIFIERS} of *, + and ?, and {_LONGEST} characters."
        )
    return text
