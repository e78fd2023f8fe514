"""Filters by name that the file gives as regular expressions, which must cost little however they are written."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from worker.errors import CannotConvert
from worker.workflow.json_value import Json

LONGEST_PATTERN = 500
LONGEST_NAME = 200
MOST_REPEATS = 3
MOST_BRANCHES = 8
MOST_STEPS = 1_000_000_000
MOST_COMPARISONS = 3_000_000
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{\d*,)")
_REPEAT = re.compile(r"[*+]|\{\d+(?:,\d*)?\}")
_BRANCH = re.compile(r"\((?!\?[=!<])|(?<!\()\?")
_ESCAPED = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_ONLY_IN_PYTHON = re.compile(r"\(\?(?![:=!]|<[=!A-Za-z_])|\(\?P|[*+?}]\+")


@dataclass(slots=True)
class Budget:
    """The steps that all filters of one workflow may take together, and how often nodes may be compared."""

    steps: int = MOST_STEPS
    comparisons: int = MOST_COMPARISONS

    def spend(self, pattern: re.Pattern[str], text: str) -> None:
        """Raises CannotConvert where they are used up."""
        repeats, branches = _weight(pattern.pattern)
        self.steps -= (len(text) + 1) ** (repeats + 1) << 2 * branches
        if self.steps < 0:
            raise CannotConvert("the filters of Anything Everywhere would take too long over this workflow")

    def compare(self, times: int) -> None:
        """Spend so many comparisons of what sends with what may receive. Raises CannotConvert."""
        self.comparisons -= times
        if self.comparisons < 0:
            raise CannotConvert("Anything Everywhere would take too long: the workflow has too many nodes and groups")


@dataclass(frozen=True, slots=True)
class NameFilter:
    """Takes names that match, or with `inverted` the others."""

    pattern: re.Pattern[str]
    inverted: bool
    budget: Budget = field(repr=False)

    def takes(self, name: str) -> bool:
        name = name[:LONGEST_NAME]
        self.budget.spend(self.pattern, name)
        return (self.pattern.search(name) is not None) != self.inverted


def read_filter(written: Json, inverted: Json, budget: Budget) -> NameFilter | None:
    """None where there is none, and for what is no regular expression: the script ignores it.

    Raises CannotConvert for one that repeats what is repeated, or is far longer than anybody writes.
    """
    if not written or isinstance(written, bool | list | dict):
        return None
    pattern = _compiled(str(written))
    return NameFilter(pattern, bool(inverted), budget) if pattern else None


@lru_cache(maxsize=500)
def _compiled(text: str) -> re.Pattern[str] | None:
    plain = _plain(text[: LONGEST_PATTERN + 1])
    complicated = _count(_REPEAT, plain) > MOST_REPEATS or _count(_BRANCH, plain) > MOST_BRANCHES
    if len(text) > LONGEST_PATTERN or complicated or _REPEATED_GROUP.search(plain):
        raise CannotConvert(
            f"the filter {text[:50]!r} of Anything Everywhere is too complex: use fewer *, + and groups"
        )
    if _ONLY_IN_PYTHON.search(plain):
        return None
    try:
        return re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", text), re.ASCII)
    except (re.error, RecursionError, OverflowError):
        return None


@lru_cache(maxsize=500)
def _weight(text: str) -> tuple[int, int]:
    """Return how often a pattern repeats something, and how often it may go on in two ways."""
    plain = _plain(text)
    return _count(_REPEAT, plain), _count(_BRANCH, plain)


def _plain(text: str) -> str:
    """The pattern with every escaped character and every set of characters as one letter."""
    return _ESCAPED.sub("x", text)


def _count(what: re.Pattern[str], plain: str) -> int:
    return len(what.findall(plain))
