"""Draws the runs of a study with matplotlib: waits, workers against demand, the queue and the dollars, over time."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from worker.fleet.simulation.study.series import RunSeries

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")
"""Blue, vermilion, green and pink of Okabe and Ito, which people with any color vision can tell apart."""
STYLES = ("-", "--", "-.", ":")
"""So that lines can be told apart without colors, too."""
READY_COLOR, STARTING_COLOR = "#56B4E9", "#B0B0B0"
WIDTH_IN, PANEL_IN = 9.0, 1.75
DAY_S = 86400.0
STYLE: dict[Any, object] = {
    "svg.hashsalt": "comfy-worker",  # otherwise the ids in an SVG are random
    "svg.fonttype": "path",  # text looks the same without matplotlib's fonts
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
FORMATS = ("svg", "png")


def require_matplotlib() -> None:
    """Raise ModuleNotFoundError if the extra `plots` is not installed. Call it before a long simulation."""
    import matplotlib as _  # noqa: F401


def drawn(runs: Sequence[RunSeries], title: str, file_format: str, start: datetime | None = None) -> bytes:
    """Return a picture of the runs in one of `FORMATS`. The same runs give the same bytes.

    `start` is the time at the start of the trace, if it is known. Raises ModuleNotFoundError without matplotlib.
    """
    import matplotlib as mpl

    picture = io.BytesIO()
    # No date and no version of matplotlib in the file.
    metadata: dict[str, str | None] = {"Date": None, "Creator": None} if file_format == "svg" else {"Software": None}
    with mpl.rc_context(STYLE):
        figure = _figure(runs, title, start)
        figure.savefig(picture, format=file_format, dpi=130, metadata=metadata)
    return picture.getvalue()


def _figure(runs: Sequence[RunSeries], title: str, start: datetime | None) -> Figure:
    """Return the figure: one panel for each story, and one for the workers of each run."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    has_usd = any(run.usd for run in runs)
    count = 2 + len(runs) + has_usd
    figure = Figure(figsize=(WIDTH_IN, 0.6 + PANEL_IN * count), layout="constrained")
    figure.suptitle(title, x=0.01, ha="left", fontsize=12, fontweight="bold")
    panels: list[Axes] = list(figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0])
    length_s = max(run.step_s[-1] for run in runs)
    unit_s, unit, steps = (
        (DAY_S, "days", [1, 2, 5, 10]) if length_s > 3 * DAY_S else (3600.0, "hours", [1, 2, 3, 6, 10])
    )
    _draw_waits(panels[0], runs, unit_s)
    most = max(max(map(sum, zip(run.ready, run.starting, strict=True))) for run in runs)
    most = max(most, *(max(run.demand) for run in runs), 1.0)
    for panel, run in zip(panels[1:], runs, strict=False):
        _draw_workers(panel, run, unit_s, 1.1 * most)
    _draw_queue(panels[1 + len(runs)], runs, unit_s)
    if has_usd:
        _draw_usd(panels[-1], runs, unit_s)
    panels[-1].set_xlim(0, length_s / unit_s)
    panels[-1].xaxis.set_major_locator(MaxNLocator(nbins=13, steps=steps))
    since = f"the start, {start:%Y-%m-%d %H:%M} UTC" if start else "the start"
    panels[-1].set_xlabel(f"{unit} since {since}")
    return figure


def _draw_waits(panel: Axes, runs: Sequence[RunSeries], unit_s: float) -> None:
    """Draw the waits of all runs. Where most jobs of a bin failed, there is a gap."""
    for run, color, style in zip(runs, COLORS, STYLES, strict=False):
        waits = [wait if math.isfinite(wait) else math.nan for wait in run.wait_p95_s]
        edges = [at_s / unit_s for at_s in run.bin_s]
        panel.stairs(waits, edges, baseline=None, linestyle=style, color=color, label=run.name, linewidth=1.6)
    _finish(panel, "Wait until the start: 95 % of the jobs that arrived then waited less", "seconds")
    if len(runs) > 1:
        _legend(panel, len(runs))


def _draw_workers(panel: Axes, run: RunSeries, unit_s: float, top: float) -> None:
    """Draw the workers of one run against the demand."""
    edges = [at_s / unit_s for at_s in run.step_s]
    both = [ready + starting for ready, starting in zip(run.ready, run.starting, strict=True)]
    panel.stairs(both, edges, fill=True, color=STARTING_COLOR, linewidth=0, label="starting")
    panel.stairs(run.ready, edges, fill=True, color=READY_COLOR, linewidth=0, label="ready")
    bins = [at_s / unit_s for at_s in run.bin_s]
    panel.stairs(run.demand, bins, baseline=None, color="black", linewidth=1.4, label="needed by the arrivals")
    _finish(panel, f"Workers in {run.name}, which {run.about}", "workers")
    panel.set_ylim(0, top)
    _legend(panel, 3)


def _draw_queue(panel: Axes, runs: Sequence[RunSeries], unit_s: float) -> None:
    """Draw the jobs that wait in all runs."""
    for run, color, style in zip(runs, COLORS, STYLES, strict=False):
        edges = [at_s / unit_s for at_s in run.step_s]
        panel.stairs(run.waiting, edges, baseline=None, linestyle=style, color=color, label=run.name, linewidth=1.2)
    _finish(panel, "Jobs that have arrived and not started", "jobs")
    if len(runs) > 1:
        _legend(panel, len(runs))


def _draw_usd(panel: Axes, runs: Sequence[RunSeries], unit_s: float) -> None:
    """Draw the dollars of all runs."""
    for run, color, style in zip(runs, COLORS, STYLES, strict=False):
        if run.usd:
            times = [at_s / unit_s for at_s in run.step_s]
            panel.plot(times, run.usd, style, color=color, label=f"{run.name}: ${run.usd[-1]:,.2f}", linewidth=1.6)
    _finish(panel, "Cost so far", "dollars")
    panel.legend(loc="upper left")


def _finish(panel: Axes, title: str, unit: str) -> None:
    """Set title and unit of a panel. Values start at 0."""
    panel.set_title(title)
    panel.set_ylabel(unit)
    panel.set_ylim(bottom=0)


def _legend(panel: Axes, columns: int) -> None:
    """Put the legend above the panel on the right, where no line is."""
    panel.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=columns, borderaxespad=0.1)
