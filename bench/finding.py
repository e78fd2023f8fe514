"""One row of the table: what was measured, compared with what, and whether the target is met."""

from __future__ import annotations

from dataclasses import dataclass

from bench.spread import Spread


@dataclass(frozen=True, slots=True)
class Measurement:
    """A measurement.

    `value` and `reference` are absolute figures for the reader. `measured` is compared with the targets.
    """

    name: str
    value: str
    reference: str
    measured: Spread
    unit: str = "x"
    at_most: float | None = None
    at_least: float | None = None
    quartile_at_least: float | None = None
    """Target for the lower quartile, so that one round in four may be worse."""

    @property
    def missed(self) -> bool:
        """Whether a target is missed."""
        too_high = self.at_most is not None and self.measured.median > self.at_most
        too_low = self.at_least is not None and self.measured.median < self.at_least
        quartile_too_low = self.quartile_at_least is not None and self.measured.low < self.quartile_at_least
        return too_high or too_low or quartile_too_low

    @property
    def target(self) -> str:
        """The target as text, or `-` without a target."""
        if self.at_most is not None:
            return f"<= {self.at_most:.2f} {self.unit}"
        if self.at_least is None:
            return "-"
        quartile = "" if self.quartile_at_least is None else f", lower quartile >= {self.quartile_at_least:.2f}"
        return f">= {self.at_least:.2f} {self.unit}{quartile}"

    @property
    def verdict(self) -> str:
        """Whether the target is met, as the last column of the table shows it. Empty without a target."""
        if self.at_most is None and self.at_least is None:
            return ""
        return "**missed**" if self.missed else "yes"


def milliseconds(seconds: Spread) -> str:
    """Return the median in milliseconds, with its unit."""
    return f"{seconds.median * 1000:.1f} ms"
