"""The records of one request, or of one job, page after page."""

from collections.abc import Iterator, Mapping, Sequence
from copy import deepcopy
from datetime import datetime
from typing import Any

from headgate.errors import SourceError
from headgate.sources.batches import REFUSED
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.jobs import finished
from headgate.sources.rest.manifest import Format, Job, Paging, Request, Stream, WindowFilter
from headgate.sources.rest.paging import Page, turning
from headgate.sources.rest.records import document, rows, under
from headgate.sources.rest.templates import Filling, Span, filled
from headgate.sources.rest.values import batch_of

__all__ = ["Pages"]


class Pages:
    """Asks for a stream, by a window of one column or whole."""

    def __init__(self, asking: Asking, stream: Stream, filter_: WindowFilter | None, columns: Sequence[str]) -> None:
        self._asking, self._stream, self._filter = asking, stream, filter_
        self._until: datetime | None = None
        needed = {*columns, *stream.key, *((filter_.column,) if filter_ is not None else ())}
        members = (stream.reads[column.name].path.steps[0] for column in stream.columns if column.name in needed)
        self._columns = ",".join(dict.fromkeys(str(member) for member in members))

    def read(self, values: Mapping[str, Any], span: Span | None) -> Iterator[list[Any]]:
        """The records, a page or some thousand at a time. Raises SourceError."""
        stream, values = self._stream, {**values, "columns": self._columns}
        job = stream.job
        if span is not None and self._filter is not None and self._filter.ordered:
            self._until = span.end
        if stream.request is not None and not (job is not None and _chosen(job, values)):
            yield from self._turned(self._made(stream.request, values, span), stream.format, stream.paging)
        elif job is not None:
            ask = finished(self._asking, job, self._made(job.create, values, span), values)
            yield from self._turned(ask, job.format, job.paging)

    def _turned(self, ask: Ask, format_: Format, paging: Paging) -> Iterator[list[Any]]:
        """The records of the page that `ask` gives, and of all after it."""
        turns = turning(self._asking, paging, keyed=bool(self._stream.key))
        following: Ask | None = turns.first(ask)
        while following is not None:
            asked = following
            if format_.kind == "json":
                answer = self._asking.answer(asked)
                found = document(answer.content, self._asking.title)
                self._see_error(found)
                records = under(self._stream.records, found, self._asking.title)
                if records:
                    yield records
                page = Page(found, answer.headers, len(records), records[-1] if records else None)
            else:
                count, last = 0, None
                with self._asking.opened(asked) as response:
                    parts = self._asking.parts(response)
                    for records in rows(format_, parts, self._stream.records, self._asking.title):
                        count, last = count + len(records), records[-1]
                        yield records
                page = Page(None, response.headers, count, last)
            following = None if self._past(page.last) else turns.after(asked, page)

    def _past(self, last: Any) -> bool:
        """Whether a page's last record lies after the window, as do all that would come in its order."""
        if self._until is None or self._filter is None or not isinstance(last, dict):
            return False
        name = self._filter.column
        column = next(column for column in self._stream.columns if column.name == name)
        [value] = batch_of([last], [column], self._stream.reads, REFUSED).column(name).to_pylist()
        return value is not None and value >= self._until

    def _made(self, request: Request, values: Mapping[str, Any], span: Span | None) -> Ask:
        """The request, with what the window adds to it."""
        filter_, text = self._filter if span is not None else None, ""
        if filter_ is not None and filter_.text is not None:
            text = str(filter_.text.filled(Filling(values, span)))
        filling = Filling(values, span, text)
        if span is None and request.needs_window:
            raise SourceError(
                f"{self._stream.title} of {self._asking.title} can be read by a window of "
                f"{' or '.join(found.column for found in self._stream.windows) or 'time'} only."
            )
        ask = self._asking.made(request, filling)
        if filter_ is not None:
            ask.query |= filled(filter_.query, filling)
            if filter_.form:
                ask.form = {**(ask.form or {}), **filled(filter_.form, filling)}
            if filter_.body:
                ask.body = _merged(ask.body or {}, filled(filter_.body, filling))
        return ask

    def _see_error(self, found: Any) -> None:
        path = self._stream.error
        said = path.first(found) if path is not None else None
        first = next(iter(self._stream.records.steps), None)
        if path is None and first is not None and isinstance(found, dict) and first not in found:
            said = found.get("error") or found.get("errors")  # no vendor says so of a page that is merely empty
        if said:
            raise SourceError(f"{self._asking.title} answered with an error: {str(said)[:300]}.")


def _chosen(job: Job, values: Mapping[str, Any]) -> bool:
    return job.when is not None and str(job.when.filled(Filling(values))).lower() in ("true", "1", "yes")


def _merged(whole: Any, part: Any) -> Any:
    if not (isinstance(whole, dict) and isinstance(part, dict)):
        return deepcopy(part)
    return {**whole, **{name: _merged(whole.get(name), value) for name, value in part.items()}}
