"""Insights: what was brought into the lake over time, summed up from the runs by the metadata database."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from headgate.errors import BadParameter, ParameterMissing
from headgate.model.resources import now_ms
from headgate.model.runs import Json, RunState
from headgate.model.scope import Caller
from headgate.service.bodies import shown, text
from headgate.store import CatalogStore, Slice, Store

__all__ = ["Insights"]

_PREFIX = "timeseries.ingestion.dataset."
_BUCKETS = {"HOUR": 3_600_000, "DAY": 86_400_000}  # milliseconds
_MOST_METRICS, _MOST_BUCKETS, _MOST_DATASETS = 20, 10_000, 100
_MOST_DUE = 10
_ENDED_WELL, _FAILED = ("success", "partialSuccess"), ("failed",)


@dataclass(frozen=True, slots=True)
class _Metric:
    """Runs that ended in `states`, counted, or summed by a figure of theirs."""

    states: Sequence[str]
    figure: tuple[str, ...] | None = None


_METRICS: Mapping[str, _Metric | None] = {
    "new.count": None,  # datasets, not runs
    "size": _Metric(_ENDED_WELL, ("sizeSummary", "outputBytes")),
    "dailysize": _Metric(_ENDED_WELL, ("sizeSummary", "outputBytes")),
    "batchfailed.count": _Metric(_FAILED),
    "batchsuccess.count": _Metric(_ENDED_WELL),
    "recordsuccess.count": _Metric(_ENDED_WELL, ("recordSummary", "outputRecordCount")),
}


class Insights:
    """Time series of a sandbox."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def report(self, caller: Caller, body: Json) -> Json:
        """The series that `body` asks for, between `start` and `end`, by hour or day. Empty spans are left out.

        Raises ParameterMissing, BadParameter.
        """
        granularity = (text(body, "granularity") or "DAY").upper()
        if granularity not in _BUCKETS:
            raise BadParameter(f"granularity is {shown(granularity)}; send HOUR or DAY.", parameter="granularity")
        bucket = _BUCKETS[granularity]
        start, end = _instant(body, "start"), _instant(body, "end")
        if not start <= end <= start + _MOST_BUCKETS * bucket:
            raise BadParameter(f"end is not between start and {_MOST_BUCKETS} times {granularity} later.")
        asked = body.get("metrics")
        if not isinstance(asked, list) or not 1 <= len(asked) <= _MOST_METRICS:
            raise BadParameter(f"metrics is {shown(asked)}; send a list of 1 to {_MOST_METRICS} metrics.")
        store, span = self._store.catalog(caller), Slice(start, end, bucket)
        return {"metricResponses": [{**_series(store, one, span), "granularity": granularity} for one in asked]}

    def activity(self, caller: Caller) -> Json:
        """What went on in the last day: `{"hours":[{"start",state:number…}],"next":[{"flowId","name","dueAt"}]}`.

        The runs of each hour by their present state, the hour that is under way last; and which flows their
        schedules start next, the earliest first. Milliseconds.
        """
        store, hour = self._store.catalog(caller), _BUCKETS["HOUR"]
        last = now_ms() // hour * hour
        hours = {start: dict.fromkeys(RunState, 0) for start in range(last - 23 * hour, last + hour, hour)}
        for start, state, number in store.made_runs(min(hours), hour):
            hours.setdefault(start, dict.fromkeys(RunState, 0))[RunState(state)] = number
        return {
            "hours": [{"start": start, **counts} for start, counts in hours.items()],
            "next": [{"flowId": flow.id, "name": flow.name, "dueAt": due} for due, flow in store.next_due(_MOST_DUE)],
        }


def _series(store: CatalogStore, asked: Any, span: Slice) -> Json:
    if not isinstance(asked, dict):
        raise BadParameter(f"metrics holds {shown(asked)}; send objects with a name.")
    name = text(asked, "name", where="metrics[].") or ""
    short = name.removeprefix(_PREFIX)
    if not name.startswith(_PREFIX) or short not in _METRICS:
        known = ", ".join(_PREFIX + each for each in _METRICS)
        raise BadParameter(f"metrics[].name is {shown(name)}; known are {known}.", parameter="metrics[].name")
    for rule in ("aggregator", "downsample"):
        if asked.get(rule, "sum") != "sum":
            raise BadParameter(f"metrics[].{rule} is {shown(asked[rule])}; series are summed: send sum.")
    datasets, grouped = _filters(asked)
    span = replace(span, datasets=datasets)
    metric = _METRICS[short]
    found = store.ended_runs(metric.figure, metric.states, span) if metric else store.new_datasets(span)
    return {"metric": name, "name": name, "filters": asked.get("filters") or [], "datapoints": _points(found, grouped)}


def _filters(asked: Json) -> tuple[tuple[str, ...] | None, bool]:
    """The datasets asked for (None: all), and whether each is a series of its own."""
    filters = asked.get("filters") or []
    if not isinstance(filters, list) or len(filters) > 1 or not all(isinstance(one, dict) for one in filters):
        raise BadParameter(f"metrics[].filters is {shown(filters)}; send a list with one filter at most.")
    if not filters:
        return None, False
    [one] = filters
    if one.get("name") not in ("dataSetId", "datasetId"):
        raise BadParameter(f"metrics[].filters[].name is {shown(one.get('name'))}; send dataSetId.")
    grouped = one.get("groupBy", False)
    if not isinstance(grouped, bool):
        raise BadParameter(f"metrics[].filters[].groupBy is {shown(grouped)}; send true or false.")
    value = text(one, "value", where="metrics[].filters[].") or ""
    if value in ("", "*"):
        return None, grouped
    datasets = tuple(value.split("|"))
    if len(datasets) > _MOST_DATASETS:
        raise BadParameter(f"metrics[].filters[].value names {len(datasets)} datasets; {_MOST_DATASETS} are allowed.")
    return datasets, grouped


def _points(found: Sequence[tuple[str, int, int]], grouped: bool) -> list[Json]:
    series: dict[str, Json] = {}
    for dataset, begin, total in found:
        points = series.setdefault(dataset if grouped else "", {})
        moment = datetime.fromtimestamp(begin / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        points[moment] = points.get(moment, 0) + total
    if not grouped:
        return [{"groupBy": {}, "dps": series.get("", {})}]
    return [{"groupBy": {"dataSetId": dataset}, "dps": points} for dataset, points in sorted(series.items())]


def _instant(body: Json, name: str) -> int:
    value = text(body, name)
    if not value:
        raise ParameterMissing(f"{name} is missing or empty.", parameter=name)
    try:
        moment = datetime.fromisoformat(value)
        return round(moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadParameter(
            f"{name} is {shown(value)}; send a time such as 2026-01-31T00:00:00Z.", parameter=name
        ) from error
