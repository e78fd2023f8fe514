"""The part of `docs/reliability.md` that runs write: a chapter each, between two marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.finding import RunFinding

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Chapter:
    """`rows` (the first one is the head) come before the findings."""

    title: str
    text: str
    findings: Sequence[RunFinding]
    rows: Sequence[Row] = ()
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def markdown(self) -> str:
        parts = [f"### {self.title}", self.text]
        if self.rows:
            parts.append(table(self.rows[0], self.rows[1:]))
        rows = [(one.what, one.found, one.target, one.verdict) for one in self.findings]
        parts.append(table(("what", "found", "target", "met"), rows))
        parts.append(", ".join(f"{what}: {value}" for what, value in self.facts) + ".")
        return "\n\n".join(parts) + "\n"


def with_chapter(document: str, chapter: Chapter) -> str:
    """The document with this chapter between its marks in place of its last edition; the others stay."""
    before, begin, rest = document.partition(BEGIN)
    inside, end, after = rest.partition(END)
    if not begin or not end:
        before, inside, after = document.rstrip() + "\n\n" if document.strip() else "# Reliability\n\n", "", "\n"
    chapters = re.split(r"^(?=### )", inside, flags=re.MULTILINE)[1:]
    others = [text.strip() + "\n" for text in chapters if not text.startswith(f"### {chapter.title}\n")]
    return f"{before}{BEGIN}\n\n" + "\n".join(sorted([*others, chapter.markdown()])) + f"\n{END}{after}"


def table(head: Row, rows: Iterable[Row]) -> str:
    lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")
