"""The windows of a flow: what was brought of which time, and what is missing."""

from headgate.errors import BadParameter, WindowReversed
from headgate.model.calendar import calendar
from headgate.model.resources import Kind, now_ms
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.model.windows import Window, parse_instant, wire_time
from headgate.service.bodies import check_id
from headgate.service.paging import Parameters, known_parameters
from headgate.service.runs import since_last
from headgate.store import ScopedStore, Store

__all__ = ["Windows"]

_MOST = 50_000
_RECENT = 100  # runs whose windows decide where a calendar begins
_DAYS = 30 * 86_400_000


class Windows:
    """What the runs of a flow have brought."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def calendar(self, caller: Caller, flow_id: str, parameters: Parameters) -> Json:
        """The time from the parameter `from` to `to` in spans that are ingested, running, failed or missing.

        By default from where the newest runs' windows begin until now. Raises NotFound, BadParameter, BadTime.
        """
        store = self._store.scoped(caller)
        store.get(Kind.FLOW, check_id(flow_id, Kind.FLOW))
        _, single = known_parameters(parameters, ("from", "to"))
        present = now_ms() // 1000 * 1000
        end = parse_instant(single["to"], "to") if "to" in single else present
        start = parse_instant(single["from"], "from") if "from" in single else _begin(store, flow_id, end)
        if end < start:
            raise WindowReversed(f"to {end} is before from {start}, in milliseconds.")
        marks = store.marks(flow_id, Window(start, end), _MOST + 1)
        if len(marks) > _MOST:
            raise BadParameter(
                f"More than {_MOST} runs have to do with that time; ask for less of it.", parameter="from"
            )
        return {
            "flowId": flow_id,
            "from": wire_time(start),
            "to": wire_time(end),
            "items": [{**span.window.wire, "state": span.mark.word} for span in calendar(marks, Window(start, end))],
            "sinceLastSuccess": since_last(store, flow_id, present).wire,
        }


def _begin(store: ScopedStore, flow_id: str, end: int) -> int:
    """Where the windows of the newest runs begin, but for those that brought everything there was."""
    starts = [run.window.start_ms for run in store.runs_over(flow_id, None, _RECENT) if run.window.start_ms > 0]
    return min([start for start in starts if start < end], default=max(0, end - _DAYS))
