"""The failure of a command, printed for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from worker.errors import Detail, Failure, detail_of

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.text import Text

__all__ = ["Failure", "detail_of", "rows", "show"]


def show(failure: Failure, console: Console, step: str) -> None:
    """Print the message, each detail, and the next step."""
    from rich.text import Text

    from worker.cli.output.rows import print_step

    heading = Text.assemble(("✗ ", "bold red"), (failure.message, "bold"), (f"  [{failure.code}]", "dim"))
    console.print(heading, soft_wrap=not console.is_terminal)
    for detail in failure.details:
        console.print(*rows(detail), sep="\n")
    if failure.details:
        console.print()
    print_step(console, step)


def rows(detail: Detail) -> Iterator[RenderableType]:
    """Yield the lines of a detail: its place, message, expected value and suggestion, as far as they are known."""
    from rich.padding import Padding
    from rich.text import Text

    yield ""
    if place := _place(detail):
        yield Padding(place, (0, 0, 0, 2))
    yield Padding(Text(detail.message), (0, 0, 0, 4))
    if detail.expected:
        yield Padding(Text(f"expected: {detail.expected}", "dim"), (0, 0, 0, 4))
    if detail.suggestion:
        yield Padding(Text(f"→ {detail.suggestion}", "green"), (0, 0, 0, 4))


def _place(detail: Detail) -> Text:
    """Return `node 3 Shrink (ImageScale), input width`, without the parts that are unknown."""
    from rich.text import Text

    text = Text()
    if detail.node_id:
        text.append("node ").append(detail.node_id, "bold cyan")
        if detail.node_title:
            text.append(f" {detail.node_title}", "bold")
        if detail.class_type and detail.class_type != detail.node_title:
            text.append(f" ({detail.class_type})")
    if detail.input:
        text.append(", input " if text else "input ").append(detail.input, "bold")
    return text
