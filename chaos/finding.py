"""A finding of a run: a measured value, and the target that it has to meet."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFinding:
    """One row of a chapter's table. An empty `target` means that the value is only reported."""

    name: str
    value: str
    target: str = ""
    met: bool = True

    @property
    def verdict(self) -> str:
        """The last cell of the row."""
        return ("yes" if self.met else "**no**") if self.target else ""


def expect_none(name: str, count: int, examples: object = "") -> RunFinding:
    """Return a finding whose target is 0. `examples` are shown when the count is higher."""
    value = f"{count}: {str(examples)[:400]}" if count and examples else str(count)
    return RunFinding(name, value, "0", met=not count)


def at_least(name: str, count: int, minimum: int) -> RunFinding:
    """Return a finding whose target is a minimum."""
    return RunFinding(name, f"{count:,}", f">= {minimum:,}", met=count >= minimum)


def fact(name: str, value: object) -> RunFinding:
    """Return a finding without a target."""
    return RunFinding(name, f"{value:,}" if isinstance(value, int) else str(value))
