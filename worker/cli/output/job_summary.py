"""The summary of a job: its files and its times."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from worker.cli.output.changes import LISTS, show_changes
from worker.cli.output.saving import SavedOutput
from worker.cli.output.timeline import Timeline
from worker.cli.output.units import duration, size

BAR = 24


def show(
    console: Console,
    result: Mapping[str, Any],
    saved: Sequence[SavedOutput],
    timeline: Timeline,
    params: Mapping[str, Any] | None = None,
) -> None:
    """Print the summary for people. `params` are the values of a template's parameters."""
    metadata = result["metadata"]
    total = metadata["timings"]["total_ms"] / 1000
    engine = metadata["engine"] if metadata["engine"] == "embedded" else f"{metadata['engine']}, {metadata['gpu_used']}"
    console.print(Text.assemble(("✓ ", "bold green"), (f"done in {duration(total)}", "bold"), f"  ({engine})"))
    console.print(files(saved))
    if params and "seed" in params:
        console.print(f"  seed {params['seed']}")
    show_changes(console, result)
    console.print()
    console.print(times(metadata["timings"], timeline))


def files(saved: Sequence[SavedOutput]) -> Table:
    """Return the table of the files. The path is the first column, so that it can be copied."""
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    table.add_column(overflow="fold", style="bold")
    for file in saved:
        table.add_row(str(file.path), file.kind, file.pixels, size(file.size))
    return table


def times(timings: Mapping[str, float], timeline: Timeline) -> Table:
    """Return the table of times: a row for each stage, and below `generate` a row for each node."""
    total = timings["total_ms"] / 1000
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 2))
    table.add_column("time by stage and node")
    table.add_column("", justify="right")
    table.add_column("")
    for stage, seconds in timeline.stage_times(timings):
        table.add_row(stage, duration(seconds), _bar(seconds, total))
        if stage == "generate":
            for run in timeline.runs:
                seconds_of_node = run.seconds(run.started)  # 0 if the end of the node was not reported
                steps = f", {run.steps:g} steps" if run.steps else ""
                name = Text.assemble("  ", run.title, (f" ({run.node_id}{steps})", "dim"))
                table.add_row(name, duration(seconds_of_node), _bar(seconds_of_node, total, "dim cyan"))
    table.add_row(Text("total", "bold"), Text(duration(total), "bold"))
    return table


def as_dict(
    result: Mapping[str, Any], saved: Sequence[SavedOutput], timeline: Timeline, params: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return the native result for `--json`, with paths in place of data, and with the nodes' times in seconds."""
    nodes = [
        {
            "node_id": run.node_id,
            "title": run.title,
            "class_type": run.class_type,
            "seconds": round(run.seconds(run.started), 4),
            "steps": run.steps,
        }
        for run in timeline.runs
    ]
    return {
        "status": "success",
        "id": result["id"],
        "outputs": [file.as_dict() for file in saved],
        "metadata": result["metadata"],
        **{name: result[name] for name in ("problems", *LISTS) if name in result},
        "nodes": nodes,
        **({"params": dict(params)} if params is not None else {}),
    }


def _bar(part: float, whole: float, style: str = "cyan") -> Text:
    """Return a bar whose length is the share of `part` in `whole`. `whole` itself has BAR characters."""
    return Text("█" * round(BAR * part / whole) if whole else "", style)
