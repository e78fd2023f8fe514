"""Where commands print: as wide as the terminal; where there is none, unbroken lines without padding."""

from __future__ import annotations

import re
import sys
from io import StringIO

from rich.console import Console

UNBROKEN = 400
PADDING = re.compile(r" +(?=\n)")


def screen(*, stderr: bool = False) -> Console:
    console = Console(stderr=stderr, highlight=False)
    return console if console.is_terminal else Console(file=Unpadded(stderr), highlight=False, width=UNBROKEN)


class Unpadded(StringIO):
    """Standard output or error, without the blanks with which tables end their lines."""

    def __init__(self, stderr: bool) -> None:
        super().__init__()
        self._sink = sys.stderr if stderr else sys.stdout

    def write(self, text: str, /) -> int:
        return self._sink.write(PADDING.sub("", text))

    def flush(self) -> None:
        self._sink.flush()
