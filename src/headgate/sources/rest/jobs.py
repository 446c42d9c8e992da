"""Reports that a vendor makes in its own time: asked for, waited for, and then fetched."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from headgate.errors import SourceError, SourceUnreachable
from headgate.sources.rest.ask import Ask
from headgate.sources.rest.asking import Asking
from headgate.sources.rest.manifest import Job, Request
from headgate.sources.rest.records import document
from headgate.sources.rest.templates import Filling

__all__ = ["finished"]


def finished(asking: Asking, job: Job, create: Ask, values: Mapping[str, Any]) -> Ask:
    """The request that fetches what `job` has made, once it has. Raises SourceError when it fails or takes too long."""
    told = _told(asking, create)
    filled: dict[str, Any] = dict(values)
    if job.id is not None:
        if (id_ := job.id.first(told)) is None:
            raise SourceError(f"{asking.title} began a job and gave no {job.id.text!r} by which to ask for it.")
        filled["job.id"] = str(id_)
    if job.start is not None:
        asking.answer(asking.made(job.start, Filling(filled)))
    poll, until = job.poll, time.monotonic() + job.poll.at_most

    def made(request: Request) -> Ask:
        return asking.made(request, Filling(filled))

    told, state = _polled(asking, made, job)
    while state not in poll.done:
        if state in poll.failed:
            raise SourceError(f"{asking.title}: the job {filled.get('job.id', '')} ended as {state!r}.")
        if time.monotonic() > until:
            raise SourceUnreachable(
                f"{asking.title}: the job {filled.get('job.id', '')} is still {state!r} "
                f"after {poll.at_most:.0f} seconds."
            )
        asking.wait(poll.every)
        told, state = _polled(asking, made, job)
    if job.download is not None:
        return made(job.download)
    assert job.address is not None  # noqa: S101 - the schema wants one of them
    address = job.address.first(told)
    if not isinstance(address, str) or not address:
        raise SourceError(f"{asking.title}: the job is done, and its answer gives no address at {job.address.text!r}.")
    return asking.elsewhere(address)


def _polled(asking: Asking, made: Callable[[Request], Ask], job: Job) -> tuple[Any, Any]:
    told = _told(asking, made(job.poll.request))
    return told, job.poll.state.first(told)


def _told(asking: Asking, ask: Ask) -> Any:
    return document(asking.answer(ask).content, asking.title)
