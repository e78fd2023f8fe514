"""What a part of the benchmark returns: rows of the table, notes below it, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

NOT_RUN = "not run"


@dataclass(frozen=True, slots=True)
class LoadRow:
    """One row of the table: what was measured, of which worker, the target, and whether it is met.

    `met` is None for a row without a target, and for one that was not run.
    """

    what: str
    measured: str
    today: str = "-"
    """The same measurement of the former release, or `-`."""
    target: str = "-"
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        if self.met is None:
            return NOT_RUN if self.measured.startswith(NOT_RUN) else ""
        return "yes" if self.met else "**missed**"

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        return self.what, self.today, self.measured, self.target, self.verdict


@dataclass(frozen=True, slots=True)
class PartResult:
    """The result of one part. `notes` are Markdown paragraphs, and `plots` are SVG pictures by file name."""

    rows: Sequence[LoadRow]
    notes: Sequence[str] = ()
    plots: Mapping[str, str] = field(default_factory=dict)


def not_run(what: str, reason: str, target: str = "-") -> PartResult:
    """Return the result of a part that was not run, with the reason."""
    return PartResult([LoadRow(what, f"{NOT_RUN}: {reason}", target=target)])
