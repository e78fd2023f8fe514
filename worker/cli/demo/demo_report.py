"""The output of the demo: a line for each step, then tables of files, times and reports to the autoscaler."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.demo.local_run import DemoResult
from worker.cli.output.job_summary import files
from worker.cli.output.units import duration
from worker.simulators.vast_router import WorkerSummary

STAGES = ("before", "generate", "deliver")


class Steps:
    """One line for each step, with the seconds since the step before."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self._started = self._last = time.monotonic()

    def done(self, text: str) -> None:
        """Print a line for the step that has just ended, with its duration."""
        now = time.monotonic()
        self.console.print(Text.assemble(("✓ ", "bold green"), (f"{now - self._last:5.1f} s  ", "cyan"), text))
        self._last = now

    @property
    def total(self) -> float:
        """Seconds from the start to the end of the last step."""
        return self._last - self._started


def output_files(results: Sequence[DemoResult]) -> Table:
    """Return the table of the saved outputs."""
    return files([file for result in results for file in result.saved])


def times(results: Sequence[DemoResult]) -> Table:
    """Return the table of times. `round trip` is from the request to the router until the last byte of the response."""
    table = _table("workflow", "shape", "worker", *(f">{stage}" for stage in STAGES), ">round trip")
    for result in results:
        seconds = [*(result.stages[stage] for stage in STAGES), result.round_trip]
        table.add_row(result.request.workflow, result.request.shape, str(result.worker), *map(duration, seconds))
    return table


def as_dict(results: Sequence[DemoResult], rows: Sequence[WorkerSummary], seconds: float) -> dict[str, Any]:
    """Return the content of the tables for `--json`. Times are in seconds."""
    requests = [
        {
            "workflow": result.request.workflow,
            "shape": result.request.shape,
            "worker": result.worker,
            "round_trip_s": round(result.round_trip, 4),
            "stages_s": dict(result.stages),
            "outputs": [file.as_dict() for file in result.saved],
        }
        for result in results
    ]
    return {
        "status": "success",
        "requests": requests,
        "reports": [dataclasses.asdict(row) for row in rows],
        "seconds": round(seconds, 2),
    }


def reports(rows: Sequence[WorkerSummary]) -> Table:
    """Return the table of the reports. Loads are in units, and `seconds` is the largest load divided by the speed."""
    table = _table("reports", ">max_perf", ">cur_load peak", ">seconds", ">served", ">rejected", ">deleted", "error")
    for row in rows:
        loads = (f"{max(row.loads):.2f}", f"{row.most_seconds:.1f} s", f"{row.served:.2f}", f"{row.rejected:.2f}")
        cells = (f"worker {row.worker_id}", f"{row.max_perf:.2f}/s", *loads, str(row.deleted), row.error_msg)
        table.add_row(*cells)
    return table


def _table(*columns: str) -> Table:
    """Return an empty table. A column whose name begins with `>` is for numbers."""
    table = Table(box=None, header_style="dim", padding=(0, 0, 0, 2))
    for name in columns:
        table.add_column(name.removeprefix(">"), justify="right" if name.startswith(">") else "left", no_wrap=True)
    return table
