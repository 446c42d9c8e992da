"""Templates: how pages are written out, and how values look in them."""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape
from starlette.requests import Request

from headgate.console import assets
from headgate.console.icons import ICONS
from headgate.console.navigation import NAVIGATION

__all__ = ["Rendering", "bytes_shown", "duration", "instant", "number"]

_THIN = "\N{NARROW NO-BREAK SPACE}"
_OPENS = re.compile(r"<(tr|td)\b")
_CODE = re.compile(r"`([^`\n]+)`")
_SECONDS_END = 10**11  # a larger number is milliseconds


class Rendering:
    """The templates of the console. Texts are escaped; an unknown name in a template is an error."""

    def __init__(self) -> None:
        self._templates = Environment(
            loader=FileSystemLoader(Path(__file__).parent / "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        self._templates.filters.update(
            number=number, bytes=bytes_shown, duration=duration, iso=_iso, utc=_utc, day=_day, cells=cells, coded=coded
        )
        self._templates.globals.update(static=assets.address, icon=icon, navigation=NAVIGATION)

    def render(self, request: Request, template: str, context: Mapping[str, Any], part: str = "") -> str:
        """A template with the values of `context`; of its block `part` alone, where one is named.

        Every template finds the macros of `parts.html` as `parts`, and the reader's `theme`, empty for the system's.
        """
        theme = request.cookies.get("headgate_theme", "")
        values = {"visit": None, "notice": None, **context, "theme": theme if theme in ("light", "dark") else ""}
        values["parts"] = self._templates.get_template("parts.html").make_module(values)
        chosen = self._templates.get_template(template)
        if not part:
            return chosen.render(values)
        return "".join(chosen.blocks[part](chosen.new_context(values)))


def icon(name: str) -> Markup:
    """An icon, which says nothing to who does not see it."""
    strokes = Markup(ICONS[name])  # noqa: S704 - drawn by us
    return Markup('<svg class="icon" viewBox="0 0 24 24" aria-hidden="true">{}</svg>').format(strokes)


def cells(rows: str, labels: Sequence[str]) -> Markup:
    """The rows of a table with their roles, and at each cell its column's name, for where rows are cards."""
    column = count()

    def opened(found: re.Match[str]) -> Markup:
        nonlocal column
        if found[1] == "tr":
            column = count()
            return Markup('<tr role="row"')
        return Markup('<td role="cell" data-label="{}"').format(labels[next(column)])

    return Markup(_OPENS.sub(opened, rows))  # noqa: S704 - whatever stands in the rows is escaped already


def coded(text: str) -> Markup:
    """A sentence of the service, in which what stands between backticks is code."""
    return Markup(_CODE.sub(r"<code>\1</code>", str(escape(text))))  # noqa: S704 - escaped just before


def number(value: float | str | None) -> str:
    """A number with thin spaces between its thousands, and at most two places after the point."""
    if value is None:
        return ""
    amount = float(value)
    return (f"{int(amount):,}" if amount == int(amount) else f"{amount:,.2f}").replace(",", _THIN)


def bytes_shown(value: int | str | None) -> str:
    """A number of bytes, in the unit that keeps it short."""
    if value is None:
        return ""
    size, units = float(value), ["B", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.0f}{_THIN}{units[0]}" if units[0] == "B" or size >= 100 else f"{size:.1f}{_THIN}{units[0]}"


def duration(milliseconds: float | None) -> str:
    """A length of time, to about three figures."""
    if milliseconds is None:
        return ""
    seconds = milliseconds / 1000
    if seconds < 60:
        return f"{seconds:.1f}{_THIN}s" if seconds >= 1 else f"{milliseconds:.0f}{_THIN}ms"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    parts = [(days, "d"), (hours, "h"), (minutes, "min"), (rest, "s")]
    shown = [f"{value}{_THIN}{unit}" for value, unit in parts if value][:2]
    return " ".join(shown)


def instant(value: int | str | datetime) -> datetime:
    """The time that a number of the wire means: seconds, or milliseconds when it is too large for them."""
    if isinstance(value, datetime):
        return value.astimezone(UTC)
    amount = int(value)
    return datetime.fromtimestamp(amount if abs(amount) < _SECONDS_END else amount / 1000, UTC)


def _iso(value: int | str | datetime) -> str:
    return instant(value).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _utc(value: int | str | datetime) -> str:
    found = instant(value)
    return found.strftime("%Y-%m-%d %H:%M" if found.second == found.microsecond == 0 else "%Y-%m-%d %H:%M:%S")


def _day(value: int | str | datetime) -> str:
    return instant(value).strftime("%Y-%m-%d")
