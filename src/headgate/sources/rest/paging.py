"""How the next page is asked for: one class for each kind of a manifest's `paging`."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

from headgate.errors import SourceError
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.manifest import Paging
from headgate.sources.rest.paths import Path
from headgate.sources.rest.templates import LAST

__all__ = ["Page", "Turning", "turning"]


@dataclass(frozen=True, slots=True)
class Page:
    """What one answer gave: its document where it is JSON, how many records, and the last of them."""

    document: Any
    headers: httpx.Headers
    records: int
    last: Any


class Turning:
    """Turns pages: this one has only one."""

    def __init__(self, asking: Asking, paging: Paging, *, keyed: bool) -> None:
        self._asking, self._about, self._goes_on, self._keyed = asking, paging.about, paging.goes_on, keyed

    def first(self, ask: Ask) -> Ask:
        """The request for the first page."""
        return ask

    def after(self, ask: Ask, page: Page) -> Ask | None:
        """The request for the page after `page`, which `ask` gave; None when it was the last. Raises SourceError."""
        if (not page.records and not self._goes_on) or self._ended(page):
            return None
        return self._next(ask, page)

    def _next(self, ask: Ask, page: Page) -> Ask | None:  # noqa: ARG002 - as all others
        return None

    def _ended(self, page: Page) -> bool:
        """Whether a flag says that it was the last."""
        more, stop = self._flag("more", page), self._flag("stop", page)
        return (more is not None and not more) or bool(stop)

    def _flag(self, name: str, page: Page) -> Any:
        if name not in self._about:
            return None
        found = self._at(name, page)
        return found.lower() not in ("false", "0", "no", "") if isinstance(found, str) else bool(found)

    def _at(self, name: str, page: Page) -> Any:
        """What stands where the manifest says for `name`."""
        place = self._about[name]
        return (
            place.first(page.document) if isinstance(place, Path) else page.headers.get(place.removeprefix("header:"))
        )

    def _number(self, name: str, page: Page) -> int | None:
        found = self._at(name, page) if name in self._about else None
        try:
            return int(found) if found is not None else None
        except (TypeError, ValueError):
            raise SourceError(f"{self._asking.title}: {found!r} is no number of pages or records.") from None


class _Counted(Turning):
    """Pages by number, and records by offset."""

    _SIZE = "size"

    def first(self, ask: Ask) -> Ask:
        self._at_page = int(self._about.get("first", self._DEFAULT))
        if (size := self._about.get(self._SIZE)) is not None:
            _placed(ask, size["parameter"], size["value"])
        _placed(ask, self._about["parameter"], self._at_page)
        return ask

    _DEFAULT = 1

    def _next(self, ask: Ask, page: Page) -> Ask | None:
        self._at_page += self._step
        full = self._number("full", page)
        if full is not None and page.records < full:
            return None
        total = self._number("total", page)
        if total is not None and self._beyond(total):
            return None
        following = ask.copy()
        _placed(following, self._about["parameter"], self._at_page)
        for place, path in self._about.get("carry", {}).items():
            _placed(following, place, path.first(page.document))
        return following

    @property
    def _step(self) -> int:
        return 1

    def _beyond(self, total: int) -> bool:
        return self._at_page - int(self._about.get("first", self._DEFAULT)) >= total


class _Offset(_Counted):
    """Of a list that has become shorter, records have moved forward past what was read: as many are read again."""

    _SIZE, _DEFAULT = "limit", 0
    _total: int | None = None

    def after(self, ask: Ask, page: Page) -> Ask | None:
        total, before = self._number("total", page), self._total
        self._total = total
        if total is None or before is None or total >= before or not self._keyed:
            return super().after(ask, page)
        self._at_page = max(self._at_page - (before - total), int(self._about.get("first", self._DEFAULT)))
        following = ask.copy()
        _placed(following, self._about["parameter"], self._at_page)
        return following

    @property
    def _step(self) -> int:
        return int(self._about["limit"]["value"])


class _Cursor(Turning):
    """A cursor that comes again closes a circle: one of those seen is kept, a later one after 1, 2, 4, 8 … pages."""

    _kept: Any = None
    _turned = 0

    def _next(self, ask: Ask, page: Page) -> Ask | None:
        found = self._at("from", page)
        if found in (None, "", "null", False):  # Salesforce writes the word into a header
            return None
        if found == self._kept:
            raise _repeated(self._asking.title, found)
        self._turned += 1
        if self._turned.bit_count() == 1:
            self._kept = found
        following = ask.copy()
        _placed(following, self._about["into"], found)
        return following


class _Link(Turning):
    def _next(self, ask: Ask, page: Page) -> Ask | None:
        if self._about["from"] == "header:link":
            links = httpx.Response(200, headers={"link": page.headers.get("link", "")}).links
            found = links.get("next", {}).get("url")
        else:
            found = self._at("from", page)
        if not found:
            return None
        following = self._asking.linked(ask, str(found))
        if following.url == ask.url:
            raise _repeated(self._asking.title, found)
        return following


class _LastId(Turning):
    """Pages after the last record of the one before; its id is a parameter, or stands in a text for `{last}`."""

    _last: Any = None
    _open: Ask | None = None
    _skipped = 0

    def after(self, ask: Ask, page: Page) -> Ask | None:
        hidden = self._about.get("hidden")
        if page.records or hidden is None:
            self._skipped = 0
            return super().after(ask, page)
        # All records of this page are hidden from the account; there may be others behind them.
        self._skipped += hidden["by"]
        left = str(page.headers.get(hidden["left"], ""))
        if not left.isdigit() or self._skipped >= int(left):
            return None
        following = ask.copy()
        _placed(following, hidden["parameter"], self._skipped)
        return following

    def first(self, ask: Ask) -> Ask:
        if "text" not in self._about:
            return ask
        self._open = ask
        return _completed(ask, self._about.get("first", ""))

    def _next(self, ask: Ask, page: Page) -> Ask | None:
        found = self._about["field"].first(page.last)
        if found is None:
            raise SourceError(
                f"{self._asking.title}: the last record has no {self._about['field'].text!r}, after which the next "
                "page begins."
            )
        if found == self._last:
            raise _repeated(self._asking.title, found)
        self._last = found
        if self._open is not None:
            if _ID.fullmatch(str(found)) is None:
                raise SourceError(f"{self._asking.title}: {str(found)[:80]!r} is no id that a page can begin after.")
            return _completed(self._open, self._about["text"].replace("{id}", str(found)))
        following = ask.copy()
        _placed(following, self._about["parameter"], found)
        return following


_ID = re.compile(r"[A-Za-z0-9_-]{1,100}")


def _completed(ask: Ask, text: str) -> Ask:
    """`ask` with `text` for its `{last}`."""
    made = ask.copy()
    made.query, made.form, made.body = (_put(part, text) for part in (ask.query, ask.form, ask.body))
    return made


def _put(value: Any, text: str) -> Any:
    match value:
        case str():
            return value.replace(LAST, text)
        case dict():
            return {name: _put(part, text) for name, part in value.items()}
        case list():
            return [_put(part, text) for part in value]
    return value


_KINDS: Mapping[str, type[Turning]] = {
    "none": Turning,
    "page": _Counted,
    "offset": _Offset,
    "cursor": _Cursor,
    "link": _Link,
    "last_id": _LastId,
}


def turning(asking: Asking, paging: Paging, *, keyed: bool) -> Turning:
    """What turns the pages of one read; `keyed` where a record that comes twice is known by its key."""
    return _KINDS[paging.kind](asking, paging, keyed=keyed)


def _placed(ask: Ask, place: str, value: Any) -> None:
    """Put `value` where a manifest says: query:name, or the name alone, header:Name, body:path."""
    kind, _, name = place.rpartition(":")
    match kind:
        case "header":
            ask.headers[name] = str(value)
        case "form":
            ask.form = {**(ask.form or {}), name: value}
        case "body":
            *steps, last = Path.of(name).steps
            inner = ask.body = {} if ask.body is None else ask.body
            for step in steps:
                inner = inner.setdefault(step, {}) if isinstance(inner, dict) else inner[int(str(step))]
            inner[last] = value
        case _:
            ask.query[name] = value


def _repeated(title: str, cursor: object) -> SourceError:
    return SourceError(f"{title} gives the page {str(cursor)[:100]!r} after itself; the read would never end.")
