"""What a part of the benchmark returns: rows of the table, notes below it, and plots."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

HEAD = "| what | measured | target | met |"


@dataclass(frozen=True, slots=True)
class FleetRow:
    """One row of the table. `met` is None for a row without a target."""

    what: str
    measured: str
    target: str = "-"
    met: bool | None = None

    @property
    def verdict(self) -> str:
        """The last column of the table."""
        if self.met is None:
            return ""
        return "yes" if self.met else "**missed**"

    @property
    def cells(self) -> tuple[str, ...]:
        """The columns of the table."""
        return self.what, self.measured, self.target, self.verdict


@dataclass(frozen=True, slots=True)
class FleetPart:
    """The result of one part. `notes` are Markdown paragraphs, and `plots` are SVG pictures by file name."""

    rows: Sequence[FleetRow]
    notes: Sequence[str] = ()
    plots: Mapping[str, str] = field(default_factory=dict)
