"""What a source is opened with besides its connection's own parameters: what it may reach, and where it may read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headgate.config import Settings
from headgate.model.run_log import Level
from headgate.model.scope import Tenancy
from headgate.outbound import Outbound
from headgate.sources.interface import Source
from headgate.sources.roots import Roots

__all__ = ["Context", "Factory", "Telling"]

Telling = Callable[[str, Level], None]
"""Takes a line for people about what is read; any thread may call it."""


def _nobody(text: str, level: Level) -> None: ...


@dataclass(frozen=True, slots=True)
class Context:
    """The settings of the service, and the organisation that a source is opened for.

    `telling` takes lines for the log of the run that reads it, without secrets; where there is none, they are lost.
    """

    settings: Settings
    tenancy: Tenancy
    telling: Telling = _nobody

    @property
    def outbound(self) -> Outbound:
        """Judges every host before it is reached."""
        return Outbound(self.settings, shared=self.tenancy.shared)

    @property
    def roots(self) -> Roots:
        """The folders whose files may be read. Raises PathNotAllowed when there are none."""
        return Roots.of(self.settings, self.tenancy)


Factory = Callable[[Mapping[str, Any], Context], Source]
"""Makes the source for the parameters of one connection's `auth`; reaches nothing yet."""
