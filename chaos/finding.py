"""What a run shows, beside what it has to reach."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class RunFinding:
    """`target` is empty where the figure only says what happened."""

    what: str
    found: str
    target: str = ""
    met: bool = True

    @property
    def verdict(self) -> str:
        return ("yes" if self.met else "**no**") if self.target else ""


def none(what: str, count: int, examples: object = "") -> RunFinding:
    """Something of which there may be none. `examples` are shown where there are some."""
    return RunFinding(what, f"{count}: {str(examples)[:400]}" if count and examples else str(count), "0", met=not count)


def at_least(what: str, count: int, least: int) -> RunFinding:
    return RunFinding(what, f"{count:,}", f">= {least:,}", met=count >= least)


def fact(what: str, found: object) -> RunFinding:
    return RunFinding(what, f"{found:,}" if isinstance(found, int) else str(found))
