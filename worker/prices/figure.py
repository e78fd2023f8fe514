"""One published price: its amount and unit, where it is published, and when."""

from __future__ import annotations

import datetime
import re
from dataclasses import dataclass
from enum import StrEnum

MAX_AGE = datetime.timedelta(days=90)
"""Age up to which a figure is shown without a mark."""
DATE = re.compile(r"\d{4}-\d{2}(-\d{2})?")


class Unit(StrEnum):
    """What the amount of a figure counts. GB are 10^9 bytes, GiB 2^30 bytes."""

    GPU_HOUR = "USD/GPU-hour"
    GPU_SECOND = "USD/GPU-second"
    CORE_SECOND = "USD/core-second"
    GIB_SECOND = "USD/GiB-second"
    GB_MONTH = "USD/GB-month"
    GIB_MONTH = "USD/GiB-month"
    GB_MOVED = "USD/GB"
    MONTH = "USD/month"
    GB = "GB"
    GIB = "GiB"
    CORES = "cores"
    TIMES = "times"


HOUR_S = 3600.0
DAY_S = 24 * HOUR_S
MONTH_S = 30 * DAY_S
"""Seconds of a month of storage. No platform documents how it counts a month. 30 days is the dearer assumption."""

SECONDS = {
    Unit.GPU_HOUR: HOUR_S,
    Unit.GPU_SECOND: 1.0,
    Unit.CORE_SECOND: 1.0,
    Unit.GIB_SECOND: 1.0,
    Unit.GB_MONTH: MONTH_S,
    Unit.GIB_MONTH: MONTH_S,
}
"""Seconds of the period that a unit names."""


@dataclass(frozen=True, slots=True)
class Figure:
    """A price, or another number of a price list.

    `source` is a URL or a name. `date` is an ISO date (2026-05-28) or month (2026-05), and empty where the source has
    none.
    """

    amount: float
    unit: Unit
    source: str
    date: str = ""

    @property
    def day(self) -> datetime.date | None:
        """Day of the figure, which is the first one for a month, or None without a date."""
        if not self.date:
            return None
        return datetime.date.fromisoformat(self.date if len(self.date) > len("2026-05") else f"{self.date}-01")

    def is_stale(self, today: datetime.date) -> bool:
        """Return whether the figure is older than 90 days, or has no date."""
        return self.day is None or today - self.day > MAX_AGE

    def text(self, today: datetime.date) -> str:
        """Return the amount with its date, and a mark if it is stale: `0.43 (2026-05-28, over 90 days old)`."""
        if not self.date:
            return f"{plain(self.amount)} (date unknown)"
        mark = ", over 90 days old" if self.is_stale(today) else ""
        return f"{plain(self.amount)} ({self.date}{mark})"

    @property
    def usd_second(self) -> float:
        """Price of a second. The unit has to be one of `SECONDS`."""
        return self.amount / SECONDS[self.unit]

    @property
    def usd_hour(self) -> float:
        """Price of an hour. The unit has to be one of `SECONDS`."""
        return self.amount * (HOUR_S / SECONDS[self.unit])


def plain(amount: float) -> str:
    """Return a number without an exponent and without zeros at its end."""
    return f"{amount:.10f}".rstrip("0").rstrip(".")
