"""The progress of a job: a live display in a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from worker.cli.output.timeline import Timeline, TimelineNode
from worker.cli.output.units import about, duration

MAX_ROWS = 8
"""Nodes that are shown, the running one last. More could scroll it out of the terminal."""
LINE_EVERY_S = 1.0


class Display(Protocol):
    """The display of one job's events."""

    timeline: Timeline

    def handle(self, name: str, data: Mapping[str, Any]) -> None:
        """Show an event."""
        ...


class LiveDisplay:
    """A display that rich renders again ten times a second."""

    def __init__(self, title: str) -> None:
        self.timeline = Timeline(time.monotonic())
        self._title = title
        self._spinner = Spinner("dots", style="cyan")

    def handle(self, name: str, data: Mapping[str, Any]) -> None:
        """Show an event."""
        self.timeline.handle(name, data, time.monotonic())

    def __rich__(self) -> RenderableType:
        """Return a line for the job, and below it a row for each of its last MAX_ROWS nodes."""
        now = time.monotonic()
        elapsed, left = duration(now - self.timeline.started), _left(self.timeline, now)
        line = Text.assemble((self._title, "bold"), f"  {self.timeline.state}  ", (elapsed, "cyan"), (left, "dim"))
        self._spinner.update(text=line)
        rows = Table.grid(padding=(0, 2))
        for run in self.timeline.runs[-MAX_ROWS:]:
            rows.add_row(*_row(run, now))
        return Group(self._spinner, rows)


def _row(run: TimelineNode, now: float) -> tuple[RenderableType, ...]:
    """Return the cells for a node: sign, title, steps, bar and time. An ended node has no bar."""
    done = run.ended is not None
    bar = ProgressBar(total=run.steps, completed=run.step, width=24) if run.steps and not done else ""
    style = "dim" if done else "bold"
    return (
        Text("  ✓" if done else "  ▸", "green"),
        Text(run.title, style),
        Text(run.progress, style),
        bar,
        Text(duration(run.seconds(now)), "dim"),
    )


def _left(timeline: Timeline, now: float) -> str:
    """Return the end of a line with the time to the end of the run, or an empty string if it is not known."""
    seconds = timeline.seconds_left(now)
    return f", {about(seconds)} left" if seconds is not None else ""


class PlainDisplay:
    """Lines for logs and pipes: one for each node, and one a second while its steps go on."""

    def __init__(self, console: Console) -> None:
        self.timeline = Timeline(time.monotonic())
        self._console = console
        self._last_line = 0.0
        self._last_text = ""

    def handle(self, name: str, data: Mapping[str, Any]) -> None:
        """Print a line for an event that changes something."""
        now = time.monotonic()
        self.timeline.handle(name, data, now)
        run = self.timeline.running
        if name == "node" and run:
            self._line(run.title, now)
        elif name == "step" and run and run.steps:
            is_last_step = run.step == run.steps
            if is_last_step or now - self._last_line > LINE_EVERY_S:
                self._line(f"{run.title} {run.progress}{_left(self.timeline, now)}", now)
        elif name == "state" and not run:
            self._line(self.timeline.state, now)

    def _line(self, text: str, now: float) -> None:
        """Print a line, unless it repeats the last one: samplers may send their last step more than once."""
        if text == self._last_text:
            return
        self._last_line, self._last_text = now, text
        self._console.print(f"{now - self.timeline.started:8.2f} s  {text}", markup=False, highlight=False)


@contextmanager
def display(console: Console, title: str) -> Iterator[Display]:
    """Yield the display that fits the console. A live display is removed from the screen at the end."""
    if not console.is_terminal:
        yield PlainDisplay(console)
        return
    live_display = LiveDisplay(title)
    with Live(live_display, console=console, refresh_per_second=10, transient=True):
        yield live_display
