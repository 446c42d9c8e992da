"""How many bad records a flow puts up with: its options `partialIngestionPercent` and `errorDiagnosticsEnabled`."""

from dataclasses import dataclass

from headgate.errors import TooManyRejects
from headgate.model.runs import Json

__all__ = ["Tolerance"]


@dataclass(frozen=True, slots=True)
class Tolerance:
    """`percent` of the records read may be bad; None when the first one fails the run.

    With `diagnostics`, the run shows some of the errors itself.
    """

    percent: float | None
    diagnostics: bool

    @classmethod
    def of(cls, frozen: Json) -> "Tolerance":
        """What the frozen flow asks for."""
        options = frozen.get("options", {})
        return cls(options.get("partialIngestionPercent"), bool(options.get("errorDiagnosticsEnabled", False)))

    def judge(self, rejected: int, good: int) -> None:
        """Raise TooManyRejects when `rejected` records, beside the `good` ones, are above the threshold."""
        if self.percent is None or not rejected or 100 * rejected <= self.percent * (rejected + good):
            return
        share = f"{100 * rejected / (rejected + good):.3g}"
        if float(share) <= self.percent:  # rounded, it would seem to be allowed
            share = f"a little more than {self.percent:g}"
        raise TooManyRejects(
            f"{rejected} of {rejected + good} records were rejected, which is {share} %; partialIngestionPercent "
            f"allows {self.percent:g} %. Nothing was ingested. Correct the records at the source, or raise the "
            "percentage in the flow's options.",
        )
