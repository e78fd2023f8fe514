"""The differences that are no faults: what a recording owes to its machine, and what the embedded engine leaves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Kept:
    """`places` are those of `compare.Difference`, `*` standing for anything; `scenario` is the start of its name."""

    scenario: str
    places: tuple[str, ...]
    reason: str

    def covers(self, scenario: str, place: str) -> bool:
        return scenario.startswith(self.scenario) and any(_matches(pattern, place) for pattern in self.places)


OF_THE_RECORDING: tuple[Kept, ...] = (
    Kept(
        "06-",
        ("*filename", "* header content-disposition", "* header content-type", "*/view* body*"),
        "two savers count in one folder and the first to run is the first of a Python set",
    ),
    Kept(
        "07-",
        ("*filename", "* header content-disposition"),
        "three savers count in one folder and the first to run is the first of a Python set",
    ),
)
"""Any engine may differ here, another real one too."""

ON_PURPOSE: tuple[Kept, ...] = ()
"""The embedded engine differs here and will; `docs/embedded-engine.md` tells the reasons in the same words."""


def kept(scenario: str, place: str, *, embedded: bool) -> Kept | None:
    """The entry that explains a difference, if there is one."""
    table: Iterable[Kept] = OF_THE_RECORDING + ON_PURPOSE if embedded else OF_THE_RECORDING
    return next((entry for entry in table if entry.covers(scenario, place)), None)


def _matches(pattern: str, place: str) -> bool:
    return re.fullmatch(".*".join(map(re.escape, pattern.split("*"))), place) is not None
