"""The answer of `POST /validate`, for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def show(body: Mapping[str, Any], name: str) -> None:
    """Print the verdict on a workflow of this name, its problems, what was repaired, and its models."""
    from rich.padding import Padding
    from rich.text import Text

    from worker.cli.output.changes import show_changes
    from worker.cli.output.failure import detail_of, rows
    from worker.cli.output.screen import screen

    console = screen()
    count = len(body["problems"])
    verdict = ("✓ valid", "bold green") if body["valid"] else (f"✗ {count} problem{'s'[: count > 1]}", "bold red")
    nodes = f"{body['nodes']} nodes, " if "nodes" in body else ""  # older workers don't count them
    facts = f"  {name}: {nodes}workload {body['workload']:g}"
    console.print(Text.assemble(verdict, (facts, "dim")))
    for problem in body["problems"]:
        console.print(*rows(detail_of(problem)), sep="\n")
    show_changes(console, body)
    if body["models"]:
        console.print()
    for model in body["models"]:
        sign = ("✓", "green") if model["here"] else ("✗", "red")
        source = "" if model["here"] else f"  {model['url'] or 'no download known'}"
        place = f" models/{model['folder']}/{model['file']}"
        console.print(Padding(Text.assemble(sign, place, (source, "dim")), (0, 0, 0, 2)))
