"""Who works, and what waits for work."""

from dataclasses import asdict

from headgate.errors import NotFound
from headgate.model.addresses import HEADGATE
from headgate.model.permissions import Permission
from headgate.model.resources import Kind, now_ms
from headgate.model.runs import Json
from headgate.model.scope import Caller
from headgate.service.paging import Parameters, counted
from headgate.store import Load, RegisteredWorker, Store

__all__ = ["Workers"]

_SILENT_MS = 45_000  # three times what a worker is silent at most


class Workers:
    """The workers of a deployment, and the queue as far as it is the caller's."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def listing(self, caller: Caller, parameters: Parameters) -> Json:
        """One page of the workers, oldest first. Raises InvalidRequest, Unavailable.

        `{"id","host","pid","version","state","places","running","runs","startedAt","seenAt"}`: `state` is working, idle
        or silent; `running` counts all runs that it has, `runs` are the ids of those of the caller's sandbox.
        """
        mine = self._store.workers.runs_of(caller.scope)
        items = [
            {
                "id": worker.id,
                "host": worker.host,
                "pid": worker.pid,
                "version": worker.version,
                "state": _state(worker),
                "places": worker.places,
                "running": worker.runs,
                "runs": mine.get(worker.id, []),
                "startedAt": worker.started_at,
                "seenAt": worker.seen_at,
            }
            for worker in self._store.workers.all()
        ]
        return counted(items, parameters, f"{HEADGATE}/workers")

    def queue(self, caller: Caller) -> Json:
        """What waits and runs in the caller's sandbox, in all and by flow, who waits longest first.

        `{"waiting","later","running","oldestDueAt","oldestWaitSeconds","flows":[{"flowId","name",…}]}`, and for those
        who may see the monitoring `organisation`, the same of all its sandboxes. Raises Unavailable.
        """
        loads = self._store.workers.loads(caller.scope)
        due = [load.due_at for load in loads.values() if load.due_at is not None]
        whole = Load(
            waiting=sum(load.waiting for load in loads.values()),
            later=sum(load.later for load in loads.values()),
            running=sum(load.running for load in loads.values()),
            due_at=min(due, default=None),
        )
        answer = {
            **_wire(whole),
            "flows": [{"flowId": id_, "name": self._name(caller, id_), **_wire(load)} for id_, load in loads.items()],
        }
        if Permission.VIEW_MONITORING in caller.permissions:
            answer["organisation"] = _wire(self._store.workers.load(caller.scope.org_id))
        return answer

    def _name(self, caller: Caller, flow_id: str) -> str:
        try:
            return self._store.scoped(caller).get(Kind.FLOW, flow_id).name
        except NotFound:  # deleted; its last run is being broken off
            return ""


def _state(worker: RegisteredWorker) -> str:
    if worker.silent_ms > _SILENT_MS:
        return "silent"
    return "working" if worker.runs else "idle"


def _wire(load: Load) -> Json:
    counts = {name: count for name, count in asdict(load).items() if name != "due_at"}
    waits = None if load.due_at is None else max(0, (now_ms() - load.due_at) // 1000)
    return {**counts, "oldestDueAt": load.due_at, "oldestWaitSeconds": waits}
