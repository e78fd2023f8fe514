"""The generated part of `docs/reliability.md`: one chapter for each kind of run, between two marks."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from chaos.finding import RunFinding

BEGIN, END = "<!-- chaos: begin -->", "<!-- chaos: end -->"
Row = Sequence[str]


@dataclass(frozen=True, slots=True)
class Chapter:
    """The report of one run: a text, an optional table `rows` with its header first, the findings, and facts."""

    title: str
    text: str
    findings: Sequence[RunFinding]
    rows: Sequence[Row] = ()
    facts: Sequence[tuple[str, str]] = field(default_factory=tuple)

    def markdown(self) -> str:
        """Return the chapter as Markdown."""
        parts = [f"### {self.title}", self.text]
        if self.rows:
            parts.append(table(self.rows[0], self.rows[1:]))
        rows = [(finding.name, finding.value, finding.target, finding.verdict) for finding in self.findings]
        parts.append(table(("measured", "result", "target", "met"), rows))
        parts.append(", ".join(f"{name}: {value}" for name, value in self.facts) + ".")
        return "\n\n".join(parts) + "\n"


def with_chapter(document: str, chapter: Chapter) -> str:
    """Return the page with this chapter in place of its former version. Other chapters stay."""
    before, begin, remainder = document.partition(BEGIN)
    inside, end, after = remainder.partition(END)
    if not begin or not end:
        before, inside, after = document.rstrip() + "\n\n" if document.strip() else "# Reliability\n\n", "", "\n"
    chapters = re.split(r"^(?=### )", inside, flags=re.MULTILINE)[1:]
    others = [text.strip() + "\n" for text in chapters if not text.startswith(f"### {chapter.title}\n")]
    return f"{before}{BEGIN}\n\n" + "\n".join(sorted([*others, chapter.markdown()])) + f"\n{END}{after}"


def table(header: Row, rows: Iterable[Row]) -> str:
    """Return a Markdown table."""
    lines = [f"| {' | '.join(header)} |", f"|{'---|' * len(header)}"]
    return "\n".join([*lines, *(f"| {' | '.join(_cell(cell) for cell in row)} |" for row in rows)])


def _cell(text: str) -> str:
    """Return a text that is safe in a Markdown table."""
    return text.replace("|", "\\|").replace("\n", " ")
