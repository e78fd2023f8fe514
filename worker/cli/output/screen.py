"""The consoles of commands. Without a terminal, lines are not wrapped and not padded."""

from __future__ import annotations

import re
import sys
from io import StringIO

from rich.console import Console

WIDTH_WITHOUT_TERMINAL = 400
"""Characters of a line, which is enough for every table."""
PADDING = re.compile(r" +(?=\n)")


def screen(*, stderr: bool = False) -> Console:
    """Return the console of standard output or of standard error."""
    console = Console(stderr=stderr, highlight=False)
    return (
        console
        if console.is_terminal
        else Console(file=Unpadded(stderr), highlight=False, width=WIDTH_WITHOUT_TERMINAL)
    )


class Unpadded(StringIO):
    """Standard output or error, without the spaces at the ends of a table's lines."""

    def __init__(self, stderr: bool) -> None:
        super().__init__()
        self._sink = sys.stderr if stderr else sys.stdout

    def write(self, text: str, /) -> int:
        """Write the text without trailing spaces."""
        return self._sink.write(PADDING.sub("", text))

    def flush(self) -> None:
        """Flush the stream."""
        self._sink.flush()
