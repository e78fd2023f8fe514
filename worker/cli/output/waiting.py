"""A step that may take longer than two seconds, shown while it runs.

A terminal has a spinner with the elapsed time, on standard error. Elsewhere a step that lasts longer than PLAIN_DELAY_S
prints a line, and another one every PLAIN_INTERVAL_S, so that a log shows that the command still runs.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

PLAIN_DELAY_S = 2.0
PLAIN_INTERVAL_S = 30.0


class Waiting(Protocol):
    """The step that is shown."""

    def update(self, text: str) -> None:
        """Show another step."""
        ...


@contextmanager
def waiting(text: str, console: Console | None = None) -> Iterator[Waiting]:
    """Show the text while the block runs. The block must not print to the terminal."""
    from worker.cli.output.screen import screen

    console = console or screen(stderr=True)
    display = _spinner(text, console) if console.is_terminal else _lines(text, console)
    with display as shown:
        yield shown


@contextmanager
def _spinner(text: str, console: Console) -> Iterator[Waiting]:
    """Show a spinner while the block runs, and remove it at the end."""
    from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), TimeElapsedColumn())
    # Results go to standard output at any time: rich must not move them to this console.
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        yield Spinner(progress, progress.add_task(text, total=None))


class Spinner:
    """The spinner of a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress = progress
        self._task = task

    def update(self, text: str) -> None:
        """Show another step beside the spinner."""
        self._progress.update(self._task, description=text)


@contextmanager
def _lines(text: str, console: Console) -> Iterator[Waiting]:
    """Print the lines of PlainLines from a thread while the block runs."""
    lines = PlainLines(text, console)
    thread = threading.Thread(target=lines.run, name="waiting", daemon=True)
    thread.start()
    try:
        yield lines
    finally:
        lines.stop()
        thread.join()


class PlainLines:
    """Lines of a log that name the step which runs."""

    def __init__(self, text: str, console: Console) -> None:
        self._text = text
        self._console = console
        self._started = time.monotonic()
        self._changed = threading.Event()
        self._stopped = False

    def update(self, text: str) -> None:
        """Print another step once it has lasted for a while."""
        self._text = text
        self._changed.set()

    def stop(self) -> None:
        """Print no more lines."""
        self._stopped = True
        self._changed.set()

    def run(self) -> None:
        """Print lines until `stop` is called. Another step starts the delay of its first line again."""
        pause_s = PLAIN_DELAY_S
        while not self._stopped:
            if self._changed.wait(pause_s):
                self._changed.clear()
                pause_s = PLAIN_DELAY_S
                continue
            elapsed_s = time.monotonic() - self._started
            self._console.print(f"{elapsed_s:8.2f} s  {self._text}", markup=False, highlight=False)
            pause_s = PLAIN_INTERVAL_S
