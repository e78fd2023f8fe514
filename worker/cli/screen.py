"""Where commands print: as wide as the terminal, and unbroken lines where there is none."""

from __future__ import annotations

from rich.console import Console

UNBROKEN = 400


def screen(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(stderr=stderr, highlight=False, width=UNBROKEN)
