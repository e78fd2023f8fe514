"""The progress of downloads: bars in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from worker.cli.output.screen import screen
from worker.cli.output.units import duration, size
from worker.workflow.templates.template import ModelFile

OnProgress = Callable[[ModelFile, int], None]
"""Called with a file and the number of its bytes that have arrived."""
LINE_EVERY_S = 10.0


@contextmanager
def bars(files: Sequence[ModelFile], *, quiet: bool = False) -> Iterator[OnProgress]:
    """Yield the function to call with the progress of these files. It does nothing if `quiet`."""
    console = screen(stderr=True)
    if quiet or not files:
        yield lambda *_: None
    elif console.is_terminal:
        with _progress(console) as progress:
            tasks: dict[ModelFile, TaskID] = {
                file: progress.add_task(f"{file.folder}/{file.file}", total=file.size) for file in files
            }
            yield lambda file, count: progress.update(tasks[file], completed=count)
    else:
        yield ProgressLines(console).handle


def _progress(console: Console) -> Progress:
    """Return bars of one line each. On a narrow terminal the name of the file is shortened."""
    name = TextColumn("{task.description}", table_column=Column(no_wrap=True, overflow="ellipsis", ratio=1))
    numbers = (
        DownloadColumn(binary_units=True, table_column=Column(no_wrap=True, min_width=13)),
        TransferSpeedColumn(table_column=Column(no_wrap=True, min_width=9)),
        TimeRemainingColumn(table_column=Column(no_wrap=True, min_width=7)),
    )
    bar = BarColumn(bar_width=max(console.width // 8, 6))
    return Progress(name, bar, *numbers, console=console, expand=True)


class ProgressLines:
    """A line for each file every LINE_EVERY_S seconds, and one when it is complete."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._printed_at: dict[ModelFile, float] = {}

    def handle(self, file: ModelFile, count: int) -> None:
        """Print a line if the file is complete, or if its last line is older than LINE_EVERY_S.

        `count` is the number of bytes that have arrived. The first call for a file only starts its clock.
        """
        now = time.monotonic()
        is_due = now - self._printed_at.setdefault(file, now) >= LINE_EVERY_S
        if is_due or count == file.size:
            self._printed_at[file] = now
            total = f" of {size(file.size)}" if file.size else ""
            path = f"{file.folder}/{file.file}"
            line = f"{duration(now - self._started):>8}  {path}  {size(count)}{total}"
            self._console.print(line, markup=False, highlight=False)
