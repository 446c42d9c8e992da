"""Texts with places in braces: `{apiKey}`, `{window.start|epoch}`. They are read once, and refused when a name is
unknown; what is put in is never read as a template again.
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote, urlsplit
from zoneinfo import ZoneInfo

from headgate.sources.rest.zones import zone_named

__all__ = ["LAST", "LEFT_OUT", "Filling", "Span", "Template", "compiled", "filled", "grain_of", "mentions"]

LEFT_OUT: Any = object()
"""What stands for a member whose whole value is a parameter that was not given."""

LAST = "\ue000"
"""What `{last}` becomes, until paging puts in its place what follows the last record."""

_PART = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_GRAINS = {
    "ms": timedelta(milliseconds=1),
    "second": timedelta(seconds=1),
    "minute": timedelta(minutes=1),
    "hour": timedelta(hours=1),
    "day": timedelta(days=1),
}


def grain_of(name: str) -> timedelta:
    """How long a grain is."""
    return _GRAINS[name]


@dataclass(frozen=True, slots=True)
class Span:
    """What a request asks for: from `start` until before `end`, both on a multiple of the `grain`; `last` is the
    last instant that is wanted of it, to the millisecond."""

    start: datetime
    end: datetime
    last: datetime
    grain: timedelta

    @classmethod
    def around(cls, start_ms: int, end_ms: int, grain: str, zone: str | None) -> "Span":
        """The smallest span of whole grains that holds a window; of hours and days those of `zone`."""
        within, size = ZoneInfo(zone) if zone else UTC, _GRAINS[grain]
        start, end = (datetime.fromtimestamp(at / 1000, UTC).astimezone(within) for at in (start_ms, end_ms))
        last = end - timedelta(milliseconds=1)
        floor, ceiling = _floor(start, grain), _floor(end, grain)
        return cls(floor, ceiling if ceiling == end else _floor(ceiling + size, grain), max(last, start), size)


def _floor(at: datetime, grain: str) -> datetime:
    match grain:
        case "ms":
            return at.replace(microsecond=at.microsecond // 1000 * 1000)
        case "second":
            return at.replace(microsecond=0)
        case "minute":
            return at.replace(second=0, microsecond=0)
        case "hour":
            return at.replace(minute=0, second=0, microsecond=0)
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


@dataclass(frozen=True, slots=True)
class Filling:
    """What is put into templates: parameters, a span of time, and the text that stands for `{window}`."""

    values: Mapping[str, Any]
    span: Span | None = None
    text: str = ""


def _host(text: str) -> str:
    """The host, and port, of an address, or of a host that is given without what makes it one."""
    return urlsplit(text if "://" in text else f"//{text}").netloc


_Filter = Callable[[Any, Span | None], Any]
_FILTERS: Mapping[str, _Filter] = {
    "iso": lambda at, _: at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    "iso_ms": lambda at, _: f"{at.astimezone(UTC):%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03}Z",
    "epoch": lambda at, _: str(int(at.timestamp())),
    "ms": lambda at, _: str(int(at.timestamp()) * 1000 + at.microsecond // 1000),
    "date": lambda at, _: f"{at:%Y-%m-%d}",
    "date_before": lambda at, span: f"{(span.last if span is not None and at == span.end else at):%Y-%m-%d}",
    "minus_1": lambda at, span: at - span.grain if span is not None else at,
    "int": lambda value, _: int(value),
    "host": lambda value, _: _host(str(value)),
    "after_dash": lambda value, _: str(value).rpartition("-")[2] if "-" in str(value) else "",
    "quoted": lambda value, _: quote(str(value), safe=""),
    "digits": lambda value, _: "".join(sign for sign in str(value) if sign.isdecimal()),
    "zone": lambda value, _: zone_named(str(value)),
}


@dataclass(frozen=True, slots=True)
class _Place:
    name: str
    filters: tuple[_Filter, ...]

    def value(self, filling: Filling) -> Any:
        found: Any
        if self.name in ("window", "last"):
            found = filling.text if self.name == "window" else LAST
        elif self.name in ("window.start", "window.end"):
            if filling.span is None:
                raise LookupError(self.name)
            found = filling.span.start if self.name == "window.start" else filling.span.end
        else:
            found = filling.values.get(self.name)
        if found is None:
            return LEFT_OUT
        for apply in self.filters:
            found = apply(found, filling.span)
        return found


@dataclass(frozen=True, slots=True)
class Template:
    """A text with places."""

    source: str
    parts: tuple[str | _Place, ...]

    @classmethod
    def of(cls, text: str, names: Collection[str]) -> "Template":
        """Read `text`, whose places may hold `names`. Raises ValueError."""
        parts: list[str | _Place] = []
        at = 0
        for found in _PART.finditer(text):
            parts.append(text[at : found.start()])
            at = found.end()
            if found[0] in ("{{", "}}"):
                parts.append(found[0][0])
            elif found[1] is None:
                raise ValueError(f"{text!r} holds a single brace; write two for one")
            else:
                parts.append(_place(found[1], text, names))
        parts.append(text[at:])
        return cls(text, tuple(part for part in parts if part != ""))

    @property
    def places(self) -> frozenset[str]:
        """The names in it."""
        return frozenset(part.name for part in self.parts if isinstance(part, _Place))

    def filled(self, filling: Filling, each: Callable[[str], str] = str) -> Any:
        """The text; of a lone place its value, LEFT_OUT where there is none. `each` writes values into text."""
        if len(self.parts) == 1 and isinstance(only := self.parts[0], _Place):
            value = only.value(filling)
            return each(value) if isinstance(value, str) else value
        texts = []
        for part in self.parts:
            value = part if isinstance(part, str) else part.value(filling)
            texts.append(value if isinstance(part, str) else each("" if value is LEFT_OUT else str(value)))
        return "".join(texts)


def _place(inside: str, text: str, names: Collection[str]) -> _Place:
    name, *filters = (part.strip() for part in inside.split("|"))
    if name not in names:
        raise ValueError(f"{text!r} names {name!r}; known here: {', '.join(sorted(names)) or 'nothing'}")
    made: list[_Filter] = []
    for filter_ in filters:
        if filter_.startswith("strftime:"):
            made.append(_strftime(filter_.removeprefix("strftime:")))
        elif filter_ in _FILTERS:
            made.append(_FILTERS[filter_])
        else:
            raise ValueError(f"{text!r} has the filter {filter_!r}; known: {', '.join(_FILTERS)}, strftime:…")
    if name in ("window.start", "window.end") and not any(
        f in _FINISHING or f.startswith("strftime:") for f in filters
    ):
        raise ValueError(f"{text!r} does not say how a time is written, such as {{{name}|iso}}")
    return _Place(name, tuple(made))


_FINISHING = ("iso", "iso_ms", "epoch", "ms", "date", "date_before")


def _strftime(form: str) -> _Filter:
    return lambda at, _: at.strftime(form)


def compiled(value: Any, names: Collection[str]) -> Any:
    """`value`, every text in it read as a template. Raises ValueError."""
    match value:
        case str():
            return Template.of(value, names)
        case Mapping():
            return {name: compiled(part, names) for name, part in value.items()}
        case list():
            return [compiled(part, names) for part in value]
    return value


def filled(value: Any, filling: Filling) -> Any:
    """What `compiled()` gave, with its places filled; members that are LEFT_OUT are not there."""
    match value:
        case Template():
            return value.filled(filling)
        case Mapping():
            members = {name: filled(part, filling) for name, part in value.items()}
            return {name: part for name, part in members.items() if part is not LEFT_OUT}
        case list():
            return [part for part in (filled(part, filling) for part in value) if part is not LEFT_OUT]
    return value


def mentions(value: Any, name: str) -> bool:
    """Whether a place in what `compiled()` gave is called `name`, or begins with it and a dot."""
    match value:
        case Template():
            return any(place == name or place.startswith(f"{name}.") for place in value.places)
        case Mapping():
            return any(mentions(part, name) for part in value.values())
        case list():
            return any(mentions(part, name) for part in value)
    return False
