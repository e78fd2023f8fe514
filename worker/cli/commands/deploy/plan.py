"""`comfy-worker deploy plan`: the changes that an apply would make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import (
    FILE,
    File,
    Image,
    Rotate,
    Server,
    account,
    check_smoke,
    fleet_in,
    reported_errors,
)
from worker.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.plan.plan import Plan

EXAMPLES = (
    "comfy-worker deploy plan --image ghcr.io/you/comfy-worker@sha256:DIGEST",
    "comfy-worker deploy plan --out plan.json",
    "comfy-worker deploy plan --snapshot snapshot.json --markdown",
)
STYLES = {"+": "green", "-": "red", "~": "yellow", "✗": "bold red", "=": "dim"}


def command(  # noqa: PLR0913 - one parameter an option
    *,
    file: File = FILE,
    image: Image = None,
    rotate: Rotate = None,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Use this file of `deploy snapshot`, instead of an API key.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Write the plan to this file, for `deploy apply --plan`.")
    ] = None,
    markdown: Annotated[
        bool, typer.Option("--markdown", help="Print the plan as Markdown, for a pull request.")
    ] = False,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Show what an apply would change.

    Changes nothing.

    Exit code 0: there is nothing to change. Exit code 2: there are changes. Exit code 1: the file or the account cannot
    be read, no job measures the speed of the workers, or something in the account has the file's names and belongs to
    another fleet.
    """
    with reported_errors(file):
        fleet = fleet_in(file, image)
        check_smoke(fleet)
        plan = _plan(fleet, rotate or [], snapshot, server_url)
        if out:
            _write(plan, out)
    _show(plan, str(file), warnings_of(fleet), markdown=markdown, as_json=as_json)
    if plan.blocked:
        raise typer.Exit(1)
    raise typer.Exit(0 if plan.empty else 2)


def _plan(fleet: Fleet, rotate: list[str], snapshot: Path | None, server: str | None) -> Plan:
    """Return the changes from the snapshot, or without one from the account, to the fleet file. Raises DeployError."""
    from worker.cli.output.waiting import waiting
    from worker.fleet.plan.plan import make_plan
    from worker.fleet.plan.snapshot import load

    if snapshot:
        return make_plan(fleet, load(snapshot.read_bytes()), rotate, offline=True)
    with account(server) as vast:
        with waiting("reading the account at Vast"):
            actual = vast.read()
        return make_plan(fleet, actual, rotate)


def warnings_of(fleet: Fleet) -> list[str]:
    """Return sentences about what cannot work in a fleet. The sizes of its models are those of the templates here."""
    from worker.fleet.plan.warnings import warnings
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    return list(warnings(fleet, read_library(Settings.from_env().templates)))


def _show(plan: Plan, file: str, warnings: Sequence[str], *, markdown: bool, as_json: bool) -> None:
    """Print the plan and the warnings as JSON, as Markdown, or for people."""
    from worker.cli.output.json_output import print_json
    from worker.fleet.plan.diff import markdown as as_markdown
    from worker.fleet.plan.plan_file import as_dict

    if as_json:
        print_json({**as_dict(plan), "warnings": [*warnings]})
    elif markdown:
        typer.echo(as_markdown(plan, file), nl=False)
        if warnings:
            typer.echo("\n" + "\n".join(f"- **Warning** {warning}" for warning in warnings))
    else:
        show(plan, warnings)


def show(plan: Plan, warnings: Sequence[str] = ()) -> None:
    """Print a plan and its warnings for people."""
    from rich.text import Text

    from worker.cli.output.screen import screen
    from worker.fleet.plan.diff import lines

    console = screen()
    for line in lines(plan):
        console.print(Text(line, STYLES.get(line[:1], "")), soft_wrap=True)
    for warning in warnings:
        console.print(Text(f"! {warning}", "yellow"), soft_wrap=True)


def _write(plan: Plan, file: Path) -> None:
    """Write the plan to a file for `deploy apply --plan`."""
    import orjson

    from worker.fleet.plan.plan_file import as_dict

    file.write_bytes(orjson.dumps(as_dict(plan), option=orjson.OPT_INDENT_2))
