"""The report of a validation, for people and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from worker.cli.output.failure import Failure, detail_of, rows
from worker.cli.output.json_output import print_json

if TYPE_CHECKING:
    from rich.text import Text


def show(body: Mapping[str, Any], workflow: Path | None) -> None:
    """Print the body of a response to `POST /validate`. Without a file, print JSON. With one, print text for people."""
    if workflow is None:
        print_json(body)
    else:
        _show(body, workflow)


def _show(body: Mapping[str, Any], workflow: Path) -> None:
    """Print the verdict, the problems, the repairs, the models, and the next step."""
    from rich.text import Text

    from worker.cli.output.changes import show_changes
    from worker.cli.output.rows import print_rows, print_step
    from worker.cli.output.screen import screen

    console = screen()
    count = len(body["problems"])
    problems = "1 problem" if count == 1 else f"{count} problems"
    verdict = ("✓ valid", "bold green") if body["valid"] else (f"✗ {problems}", "bold red")
    nodes = f"{body['nodes']} nodes, " if "nodes" in body else ""  # older workers do not count them
    facts = f"  {workflow.name}: {nodes}workload {body['workload']:.3g}"
    console.print(Text.assemble(verdict, (facts, "dim")))
    for problem in body["problems"]:
        console.print(*rows(detail_of(problem)), sep="\n")
    show_changes(console, body)
    if body["models"]:
        console.print()
    print_rows(console, [_model_row(model) for model in body["models"]], indent=2)
    if not body["valid"]:
        console.print()
        print_step(console, _next_step(body, workflow))


def _model_row(model: Mapping[str, Any]) -> tuple[Text, Text]:
    """Return the cells of a model: its path with a sign, and its URL if the file is missing."""
    from rich.text import Text

    sign = ("✓", "green") if model["here"] else ("✗", "red")
    source = "" if model["here"] else model["url"] or "no download known"
    return Text.assemble(sign, f" models/{model['folder']}/{model['file']}"), Text(source, "dim")


def _next_step(body: Mapping[str, Any], workflow: Path) -> str:
    """Return the sentence that says what to do first about a rejected workflow."""
    from worker.cli.output.next_steps import detail_step

    failure = Failure("invalid_workflow", "", [detail_of(problem) for problem in body["problems"]])
    step = detail_step(failure) or "Correct the problems, then run `comfy-worker validate FILE` again."
    return step.replace("FILE", str(workflow))
