"""How a read is split into several queries, each for a range of keys or of times."""

from collections.abc import Mapping, Sequence
from datetime import date, datetime, timedelta
from itertools import pairwise
from typing import Any

from headgate.model.windows import Bounds
from headgate.sources.sql.dialect import CatalogueColumn, Dialect
from headgate.sources.sql.driver import Session
from headgate.sources.sql.filters import Kind

__all__ = ["KINDS", "delta_ranges", "key_ranges"]

KINDS: Mapping[str, Kind] = {
    "timestamp": "timestamp",
    "timestamptz": "timestamptz",
    "date": "date",
    "int": "integer",
    "long": "integer",
    "string": "text",
}
"""How the constants of a window are written for a delta column, by the lake's kind of it."""


def key_ranges(
    session: Session, dialect: Dialect, source: str, where: str | None, key: CatalogueColumn, count: int
) -> list[tuple[str, str]]:
    """At most `count` ranges of `key`, an integer: an id and a condition each; fewer than two when there is no use.

    The first and the last are open, for keys that come later.
    """
    lowest, highest = _extremes(session, dialect, source, where, key)
    if not (isinstance(lowest, int) and isinstance(highest, int)) or highest - lowest < count:
        return []
    edges = [lowest + (highest - lowest + 1) * at // count for at in range(count)]
    return _named("keys", dialect, key, "integer", edges)


def delta_ranges(
    session: Session,
    dialect: Dialect,
    source: str,
    where: str,
    delta: CatalogueColumn,
    bounds: Bounds,
    count: int,
) -> list[tuple[str, str]]:
    """The same for the delta column, whose values in the window lie in `bounds`; none for text."""
    lower: Any = bounds.lower
    if isinstance(lower, str):
        return []
    found = _extremes(session, dialect, source, where, delta)
    if any(type(value) is not type(lower) or not _alike(value, lower) for value in found):
        return []  # there are no rows, or the driver gives times in another form
    first, last = found
    if last <= first:
        return []
    edges = [first + _part(last - first, at, count) for at in range(count)]
    distinct = list(dict.fromkeys(edges))
    kind: Kind = KINDS[{"epoch_s": "long", "epoch_ms": "long", "epoch_us": "long"}.get(bounds.type, bounds.type)]
    return _named("times", dialect, delta, kind, distinct)


def _extremes(
    session: Session, dialect: Dialect, source: str, where: str | None, column: CatalogueColumn
) -> Sequence[Any]:
    name = dialect.quote(column.name)
    query = f"SELECT min({name}), max({name}) FROM {source}" + (f" WHERE {where}" if where else "")
    return session.rows(query)[0]


def _alike(one: Any, other: Any) -> bool:
    return (getattr(one, "tzinfo", None) is None) == (getattr(other, "tzinfo", None) is None)


def _part(span: Any, at: int, count: int) -> Any:
    return (
        timedelta(microseconds=span // timedelta(microseconds=1) * at // count)
        if isinstance(span, timedelta)
        else (span * at // count)
    )


def _named(
    what: str, dialect: Dialect, column: CatalogueColumn, kind: Kind, edges: Sequence[Any]
) -> list[tuple[str, str]]:
    name = dialect.quote(column.name)

    def constant(edge: Any) -> str:
        return dialect.constant(edge, kind, column)

    ranges = []
    for at, (lower, upper) in enumerate(pairwise([*edges, None])):
        conditions = [f"{name} >= {constant(lower)}"] if at else []
        conditions += [f"{name} < {constant(upper)}"] if upper is not None else []
        ranges.append((f"{what}-{_word(lower)}-{_word(upper)}", " AND ".join(conditions)))
    return ranges


def _word(edge: int | date | datetime | None) -> str:
    if edge is None:
        return "end"
    if isinstance(edge, int):
        return str(edge)
    text = edge.isoformat()
    return "".join(sign for sign in text.removesuffix("+00:00") if sign.isalnum())
