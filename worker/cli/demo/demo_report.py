"""What the demo prints: each step as it is done, then the pictures, the times, and what the autoscaler was told."""

from __future__ import annotations

import time
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.demo.rehearsal import Played
from worker.cli.output.job_summary import files
from worker.cli.output.units import duration
from worker.simulators.vast_router import WorkerSummary

STAGES = ("before", "generate", "deliver")


class Steps:
    """One line a step, with the time since the one before."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun = self._last = time.monotonic()

    def done(self, text: str) -> None:
        now = time.monotonic()
        self._console.print(Text.assemble(("✓ ", "bold green"), (f"{now - self._last:5.1f} s  ", "cyan"), text))
        self._last = now

    @property
    def total(self) -> float:
        """Seconds from the beginning to the last step."""
        return self._last - self._begun


def pictures(played: Sequence[Played]) -> Table:
    return files([file for one in played for file in one.saved])


def times(played: Sequence[Played]) -> Table:
    """`round trip` is what the caller of Vast's client waits, from asking the router to the last byte."""
    table = _table("workflow", "shape", "worker", *(f">{stage}" for stage in STAGES), ">round trip")
    for one in played:
        seconds = [*(one.stages[stage] for stage in STAGES), one.round_trip]
        table.add_row(one.request.workflow, one.request.shape, str(one.worker), *map(duration, seconds))
    return table


def reports(rows: Sequence[WorkerSummary]) -> Table:
    """Loads and speed in workload units: a 512x512 picture of 20 steps is 100."""
    table = _table("autoscaler was told", ">max_perf", ">cur_load peak", ">served", ">rejected", ">deleted", "error")
    for row in rows:
        numbers = (f"{row.max_perf:.1f}/s", *(f"{load:.0f}" for load in (max(row.loads), row.served, row.rejected)))
        table.add_row(f"by worker {row.worker_id}", *numbers, str(row.deleted), row.error_msg)
    return table


def _table(*columns: str) -> Table:
    """A name that begins with `>` is a column of numbers."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 2))
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left")
    return table
