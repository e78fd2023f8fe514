"""`comfy-worker templates`: the workflows that can be run by name."""

from __future__ import annotations

import typer

from worker.cli.options import Json

EXAMPLES = ("comfy-worker templates", "comfy-worker templates show flux-schnell", "comfy-worker templates --json")


def command(
    context: typer.Context,
    *,
    as_json: Json = False,
) -> None:
    """List the templates: workflows to run by name.

    Their folders are in WORKER_TEMPLATES.
    """
    if context.invoked_subcommand is not None:
        return
    from rich.table import Table

    from worker.cli.output.json_output import print_json
    from worker.cli.output.screen import screen
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    library = read_library(Settings.from_env().templates)
    if as_json:
        print_json({name: {"title": template.title, "about": template.about} for name, template in library.items()})
        return
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(style="bold", no_wrap=True)
    for template in library.values():
        table.add_row(template.name, template.about)
    screen().print(table)
