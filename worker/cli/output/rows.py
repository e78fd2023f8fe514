"""Rows whose last cell is long, such as files with their URLs, and the next step below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.padding import Padding
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from rich.console import Console

GAP = 2
DEEPER = 4
"""Spaces before the last cell of a row that is on a line of its own."""


def print_rows(console: Console, rows: Sequence[Sequence[Text]], indent: int = 0) -> None:
    """Print rows of cells in aligned columns.

    Where the console is too narrow, the last cell of each row goes on a line of its own. The terminal breaks such a
    line, so that a URL can be copied.
    """
    if not rows:
        return
    widths = [max(cell.cell_len for cell in column) for column in zip(*rows, strict=True)]
    fits = indent + sum(widths) + GAP * (len(widths) - 1) <= console.width
    for row in rows:
        cells = [*row] if fits else [*row[:-1]]
        line = Text(" " * indent)
        for cell, width in zip(cells, widths, strict=False):
            line.append_text(cell)
            line.append(" " * (width - cell.cell_len + GAP))
        line.rstrip()
        console.print(line, soft_wrap=True)
        if not fits and row[-1].plain:
            console.print(Text(" " * (indent + DEEPER)).append_text(row[-1]), soft_wrap=True)


def print_step(console: Console, step: str) -> None:
    """Print the next step behind an arrow, with its further lines below its first word."""
    line = Table.grid(padding=(0, 1, 0, 0))
    line.add_column(no_wrap=True)
    line.add_column(overflow="fold")
    line.add_row("→", Text(step))
    console.print(Padding(line, (0, 0, 0, 2)))
