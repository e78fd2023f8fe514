"""What the parameters of a fleet have to reach: a wait, a sum of dollars a month, or both."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from typing import Self

from worker.errors import TargetInvalid
from worker.fleet.simulation.scenario import WaitTarget
from worker.fleet.simulation.summary import WaitFigures

QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}
UNITS = {"s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0} | {
    "m": 60.0,
    "min": 60.0,
    "minute": 60.0,
    "minutes": 60.0,
}
EXAMPLE = 'such as --target "p95 wait 60 s"'
_NUMBER = re.compile(r"(\d+(?:\.\d*)?|\.\d+)\s*([a-z]*)")
_BUDGET = re.compile(r"\$?\s*(\d[\d,_]*(?:\.\d*)?|\.\d+)\s*(?:usd|dollars)?(?:\s*(?:/|a|per)\s*month)?")


@dataclass(frozen=True, slots=True)
class AdviceTarget:
    """The goal of the search: a wait, a budget, or both.

    Attributes:
        wait: The share `quantile` of the jobs has to wait for at most `seconds`. None means as short as possible.
        budget: Most dollars in a month of 30 days. None means as few as possible.
        quantile: The share of jobs whose wait is shown, and is as short as possible without a target.
    """

    wait: WaitTarget | None = None
    budget: float | None = None
    quantile: float = 0.95

    @classmethod
    def of(cls, wait: WaitTarget | None, budget: float | None) -> Self:
        """Return the target for a wait, a budget or both. The quantile is that of the wait."""
        return cls(wait, budget, wait.quantile) if wait else cls(budget=budget)

    @property
    def budget_alone(self) -> Self:
        """The same budget with the shortest waits that it allows."""
        return replace(self, wait=None)

    @property
    def quantile_name(self) -> str:
        """The quantile as people write it, such as `p95`."""
        return f"p{100 * self.quantile:.0f}"

    def wait_s(self, waits: WaitFigures) -> float:
        """Return the wait that is compared with the target."""
        by_share = {0.5: waits.p50_s, 0.9: waits.p90_s, 0.95: waits.p95_s, 0.99: waits.p99_s}
        return by_share[self.quantile]

    def __str__(self) -> str:
        parts = [f"{self.quantile_name} wait of at most {self.wait.seconds:g} s"] if self.wait else []
        parts += [f"at most ${self.budget:,.6g} a month"] if self.budget is not None else []
        return ", ".join(parts)


def read_target(text: str) -> WaitTarget:
    """Return the target in a text such as `p95 wait 60 s` or `p50 wait <= 2 min`. Raises TargetInvalid."""
    words = text.casefold().replace("<=", " ").replace("≤", " ").split(maxsplit=2)
    if len(words) < 3 or words[1] != "wait":
        raise TargetInvalid(f"{text!r} is no target: write a quantile, the word wait and a time, {EXAMPLE}")
    name, _, time = words
    if name not in QUANTILES:
        raise TargetInvalid(f"{text!r}: {name!r} is no quantile that is known; use one of {', '.join(QUANTILES)}")
    match = _NUMBER.fullmatch(time)
    if match is None:
        raise TargetInvalid(f"{text!r}: {time!r} is no time; write a number and s or min, {EXAMPLE}")
    if match[2] not in UNITS:
        unit = f"{match[2]!r} is no unit" if match[2] else f"{time!r} has no unit"
        raise TargetInvalid(f"{text!r}: {unit}; write s for seconds or min for minutes, {EXAMPLE}")
    return WaitTarget(float(match[1]) * UNITS[match[2]], QUANTILES[name])


def read_budget(text: str) -> float:
    """Return the dollars a month in a text such as `300` or `$1,200`. Raises TargetInvalid."""
    match = _BUDGET.fullmatch(text.casefold().strip())
    amount = float(match[1].replace(",", "").replace("_", "")) if match else math.nan
    if not 0 < amount < math.inf:
        raise TargetInvalid(f"{text!r} is no budget: write dollars a month above 0, such as --budget 300")
    return amount
