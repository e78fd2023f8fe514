"""Writes results into a page of the docs: rows into its table, and one block of facts and notes for each part.

A run of some parts replaces only what belongs to them. HTML comments, which no reader sees, mark it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

HEAD = "| what | today | measured | target | met |"
TABLE_BEGIN, TABLE_END = "<!-- results -->", "<!-- end of results -->"


class PageRow(Protocol):
    """A row of the table: what was measured, whether the target is met, and all columns."""

    @property
    def what(self) -> str:
        """The first column."""
        ...

    @property
    def met(self) -> bool | None:
        """Whether the target is met, None without one."""
        ...

    @property
    def cells(self) -> tuple[str, ...]:
        """All columns."""
        ...


class PageResult(Protocol):
    """What a part has measured. `notes` are Markdown paragraphs, and `plots` are SVG pictures by file name."""

    @property
    def rows(self) -> Sequence[PageRow]:
        """Rows of the table."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """Paragraphs below the table."""
        ...

    @property
    def plots(self) -> Mapping[str, str]:
        """Pictures."""
        ...


@dataclass(frozen=True, slots=True)
class MeasuredPart:
    """The result of a part and the facts of its run, as pairs of a name and a value."""

    name: str
    result: PageResult
    facts: Sequence[tuple[str, str]]


def with_part(page: str, part: MeasuredPart, order: Sequence[str], head: str = HEAD) -> str:
    """Return the page with this part's rows and block. `order` are the names of all parts, `head` names the columns."""
    page = _between(page, TABLE_BEGIN, TABLE_END, _table(page, part, order, head))
    begin, end = f"<!-- measured: {part.name} -->", f"<!-- end of measured: {part.name} -->"
    return _between(page, begin, end, _block(part))


def _table(page: str, part: MeasuredPart, order: Sequence[str], head: str) -> str:
    """Return the table with the rows of this part in place of its earlier ones."""
    earlier = re.findall(r"^\| .*<!-- (\S+) --> \|$", page, flags=re.MULTILINE)
    lines = re.findall(r"^\| .*<!-- \S+ --> \|$", page, flags=re.MULTILINE)
    rows = [(name, line) for name, line in zip(earlier, lines, strict=True) if name != part.name]
    rows += [(part.name, _line(row, part.name)) for row in part.result.rows]
    rows.sort(key=lambda row: order.index(row[0]) if row[0] in order else len(order))
    return "\n".join([head, "|" + "---|" * head.count(" | ") + "---|", *(line for _, line in rows)])


def _line(row: PageRow, name: str) -> str:
    """Return a row of the table, with the name of its part in a comment."""
    return _spaced("| " + " | ".join(row.cells)) + f"<!-- {name} --> |"


def _block(part: MeasuredPart) -> str:
    """Return the notes, the plots and the facts of a part."""
    plots = [f"![{file.removesuffix('.svg').replace('-', ' ')}]({file})" for file in part.result.plots]
    facts = " · ".join(f"{name}: {value}" for name, value in part.facts)
    return "\n\n".join([*map(_spaced, part.result.notes), *plots, f"<sub>{facts}</sub>"])


def _spaced(text: str) -> str:
    """Return a text with a space before each percent sign, as in all docs."""
    return re.sub(r"(?<=\d)%", " %", text)


def _between(page: str, begin: str, end: str, text: str) -> str:
    """Return the page with the text between two marks. Raises ValueError when it has no such marks."""
    pattern = re.compile(re.escape(begin) + r".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise ValueError(f"the page has no marks {begin} and {end}: add them where the results belong")
    return pattern.sub(lambda _: f"{begin}\n{text}\n{end}", page, count=1)
