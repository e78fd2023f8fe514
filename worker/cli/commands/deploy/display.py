"""The progress of an apply: a line for each step, and one line for the wait for workers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.status import Status
from rich.text import Text

from worker.cli.output.units import duration
from worker.fleet.apply.apply import ApplyListener
from worker.fleet.apply.ready import ReadinessProgress
from worker.fleet.plan.plan import Step


class ApplyDisplay(ApplyListener):
    """Print the steps. A terminal shows the wait as one line that changes, and a log has a line for each change."""

    def __init__(self, console: Console, status: Status | None) -> None:
        self._console = console
        self._status = status
        self._last = ""

    def step_done(self, step: Step) -> None:
        """Print the step that was carried out."""
        self._console.print(Text.assemble(("✓ ", "bold green"), f"{step.action} {step.name}"))

    def message(self, text: str) -> None:
        """Print a sentence about the apply."""
        self._console.print(Text(f"  {text}"))

    def waiting(self, progress: ReadinessProgress) -> None:
        """Show how many workers are ready, and which have an error. A log gets no line if nothing has changed."""
        text = str(progress)
        if progress.errors:
            text += f"; in error: {', '.join(map(str, progress.errors))}"
        if self._status:
            self._status.update(Text(f"{duration(progress.waited_s)}  {text}"))
            self._status.start()
        elif text != self._last:
            self._console.print(f"{progress.waited_s:8.2f} s  {text}", markup=False)
        self._last = text


@contextmanager
def display(console: Console) -> Iterator[ApplyDisplay]:
    """Yield the display of an apply on this console."""
    status = console.status("") if console.is_terminal else None
    try:
        yield ApplyDisplay(console, status)
    finally:
        if status:
            status.stop()
