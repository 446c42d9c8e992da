"""What the client was before it had groups; to go when nobody calls it any more."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from headgate.client.runs import Run
from headgate.client.shapes import Window

if TYPE_CHECKING:
    from headgate.client.client import Client

Json = dict[str, Any]


class Before:
    """Methods of the client itself."""

    def start_run(self, flow: str, *, window: Window, delta_column: str | None = None) -> Json:
        """Create a run of `flow` (name or id) over the half-open window; the whole run object."""
        return cast(Json, _new(self).runs.start(flow, window=window, delta_column=delta_column).data)

    def run(self, run_id: str) -> Json:
        """The whole run object."""
        return cast(Json, _new(self).runs.get(run_id).data)

    def cancel(self, run_id: str) -> Json:
        """Ask for a run to be cancelled; the run object."""
        return cast(Json, _handle(self, run_id).cancel().data)

    def wait(
        self, run_id: str, *, timeout: float | None = None, on_progress: Callable[[Json], None] | None = None
    ) -> Json:
        """Wait until the run has ended; the run object."""
        shown = None if on_progress is None else lambda run: on_progress(cast(Json, run.data))
        return cast(Json, _handle(self, run_id).wait(timeout=timeout, on_progress=shown).data)


def _new(client: Any) -> "Client":
    return cast("Client", client)


def _handle(client: Any, run_id: str) -> Run[Any]:
    return Run(client._driver, cast(Any, {"id": run_id}))
