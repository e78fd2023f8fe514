"""Name filters, which the file has as regular expressions. Limits keep hostile expressions from taking long."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from functools import lru_cache

from worker.errors import CannotConvert
from worker.workflow.json_value import Json

MAX_PATTERN_LENGTH = 500
MAX_NAME_LENGTH = 200
MAX_REPEATS = 3
MAX_BRANCHES = 8
MAX_STEPS = 1_000_000_000
MAX_COMPARISONS = 3_000_000
_REPEATED_GROUP = re.compile(r"\)(?:[*+]|\{\d*,)")
_REPEAT = re.compile(r"[*+]|\{\d+(?:,\d*)?\}")
_BRANCH = re.compile(r"\((?!\?[=!<])|(?<!\()\?")
_ESCAPED = re.compile(r"\\.|\[(?:\\.|[^\]\\])*\]", re.DOTALL)
_ONLY_IN_PYTHON = re.compile(r"\(\?(?![:=!]|<[=!A-Za-z_])|\(\?P|[*+?}]\+")


@dataclass(slots=True)
class FilterBudget:
    """The matching steps and the comparisons that all filters of one workflow may use together."""

    steps: int = MAX_STEPS
    comparisons: int = MAX_COMPARISONS

    def spend_match(self, pattern: re.Pattern[str], text: str) -> None:
        """Subtract the steps that one match may take at most. Raises CannotConvert when no steps are left.

        Each repetition may try every length of the text, and each branch multiplies the steps by 4.
        """
        repeats, branches = _complexity(pattern.pattern)
        self.steps -= (len(text) + 1) ** (repeats + 1) << 2 * branches
        if self.steps < 0:
            raise CannotConvert("the filters of Anything Everywhere would take too long over this workflow")

    def spend_comparisons(self, count: int) -> None:
        """Subtract comparisons of broadcasts with inputs. Raises CannotConvert when none are left."""
        self.comparisons -= count
        if self.comparisons < 0:
            raise CannotConvert("Anything Everywhere would take too long: the workflow has too many nodes and groups")


@dataclass(frozen=True, slots=True)
class NameFilter:
    """A filter that accepts matching names, or with `inverted` all others."""

    pattern: re.Pattern[str]
    inverted: bool
    budget: FilterBudget = field(repr=False)

    def accepts(self, name: str) -> bool:
        """Return whether the filter accepts a name. Raises CannotConvert when the budget is used up."""
        name = name[:MAX_NAME_LENGTH]
        self.budget.spend_match(self.pattern, name)
        return (self.pattern.search(name) is not None) != self.inverted


def read_filter(raw: Json, inverted: Json, budget: FilterBudget) -> NameFilter | None:
    """Return a filter of a sender, or None if there is none.

    A text that is not a regular expression counts as no filter, as in the script. `inverted` is the setting that makes
    the filter accept all other names. Raises CannotConvert if the expression is too long, or has nested repetitions or
    too many of them.
    """
    if not raw or isinstance(raw, bool | list | dict):
        return None
    pattern = _compiled(str(raw))
    return NameFilter(pattern, bool(inverted), budget) if pattern else None


@lru_cache(maxsize=500)
def _compiled(text: str) -> re.Pattern[str] | None:
    """Compile an expression in JavaScript's syntax, or return None if JavaScript or Python does not accept it.

    Raises CannotConvert if it is too long or too complex.
    """
    plain = _without_escapes(text[: MAX_PATTERN_LENGTH + 1])
    has_too_many_parts = _count(_REPEAT, plain) > MAX_REPEATS or _count(_BRANCH, plain) > MAX_BRANCHES
    if len(text) > MAX_PATTERN_LENGTH or has_too_many_parts or _REPEATED_GROUP.search(plain):
        raise CannotConvert(
            f"the filter {text[:50]!r} of Anything Everywhere is too complex: use fewer *, + and groups"
        )
    if _ONLY_IN_PYTHON.search(plain):
        return None
    python_syntax = re.sub(r"\(\?<(?![=!])", "(?P<", text)  # named groups
    try:
        return re.compile(python_syntax, re.ASCII)
    except (re.error, RecursionError, OverflowError):
        return None


@lru_cache(maxsize=500)
def _complexity(text: str) -> tuple[int, int]:
    """Return the number of repetitions and the number of branches in a pattern."""
    plain = _without_escapes(text)
    return _count(_REPEAT, plain), _count(_BRANCH, plain)


def _without_escapes(text: str) -> str:
    """Return the pattern with each escaped character and each character set replaced by one letter."""
    return _ESCAPED.sub("x", text)


def _count(construct: re.Pattern[str], plain: str) -> int:
    """Return how often a construct occurs in a pattern without escapes."""
    return len(construct.findall(plain))
