"""Downloads while they run: bars in a terminal, a line for each file that is done everywhere else."""

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

from worker.cli.output.screen import screen
from worker.cli.output.units import duration, size
from worker.workflow.templates.template import ModelFile

Heard = Callable[[ModelFile, int], None]
LINE_EVERY_S = 10.0


@contextmanager
def bars(files: Sequence[ModelFile], *, quiet: bool = False) -> Iterator[Heard]:
    """Yields what is to be told how many bytes of a file are here."""
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
        yield Lines(console).hear


def _progress(console: Console) -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(binary_units=True))
    return Progress(*columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console)


class Lines:
    """One line a file now and then, and one when it is whole."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._started = time.monotonic()
        self._said: dict[ModelFile, float] = {}

    def hear(self, file: ModelFile, count: int) -> None:
        now = time.monotonic()
        due = now - self._said.setdefault(file, now) >= LINE_EVERY_S
        if due or count == file.size:
            self._said[file] = now
            whole = f" of {size(file.size)}" if file.size else ""
            where = f"{file.folder}/{file.file}"
            line = f"{duration(now - self._started):>8}  {where}  {size(count)}{whole}"
            self._console.print(line, markup=False, highlight=False)
