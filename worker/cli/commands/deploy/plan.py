"""`comfy-worker deploy plan`: what apply would do."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import (
    FILE,
    File,
    Image,
    Json,
    Rotate,
    Server,
    account,
    check_smoke,
    fleet_in,
    told,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.plan.plan import Plan

STYLES = {"+": "green", "-": "red", "~": "yellow", "✗": "bold red", "=": "dim"}


def command(  # noqa: PLR0913 - one parameter an option
    *,
    file: File = FILE,
    image: Image = None,
    rotate: Rotate = None,
    snapshot: Annotated[
        Path | None, typer.Option(metavar="FILE", help="plan against `deploy snapshot`'s file, without a key")
    ] = None,
    out: Annotated[Path | None, typer.Option(metavar="FILE", help="write the plan, for apply --plan")] = None,
    markdown: Annotated[bool, typer.Option("--markdown", help="print it for a comment on a pull request")] = False,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Say what apply would change in the account.

    Nothing is changed. Exit code 0: nothing to do, 2: changes, 1: the file or the account can't be read, or
    what has the file's names is not this fleet's.
    """
    with told():
        fleet = fleet_in(file, image)
        check_smoke(fleet)
        plan = _plan(fleet, rotate or [], snapshot, server_url)
        if out:
            from worker.fleet.plan.plan_file import as_dict

            out.write_text(_json(as_dict(plan)), "utf-8")
    _show(plan, str(file), warnings_of(fleet), markdown=markdown, as_json=as_json)
    raise typer.Exit(1 if plan.blocked else 0 if plan.empty else 2)


def _plan(fleet: Fleet, rotate: list[str], snapshot: Path | None, server: str | None) -> Plan:
    from worker.fleet.plan.plan import make_plan
    from worker.fleet.plan.snapshot import load

    if snapshot:
        return make_plan(fleet, load(snapshot.read_bytes()), rotate, offline=True)
    with account(server) as found:
        return make_plan(fleet, found.read(), rotate)


def warnings_of(fleet: Fleet) -> list[str]:
    """What of a fleet cannot work, by the models of the templates that are here."""
    from worker.fleet.plan.warnings import warnings
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    return list(warnings(fleet, read_library(Settings.from_env().templates)))


def _show(plan: Plan, file: str, warnings: Sequence[str], *, markdown: bool, as_json: bool) -> None:
    from worker.fleet.plan.diff import markdown as as_markdown
    from worker.fleet.plan.plan_file import as_dict

    if as_json:
        typer.echo(_json({**as_dict(plan), "warnings": [*warnings]}))
    elif markdown:
        typer.echo(as_markdown(plan, file), nl=False)
        if warnings:
            typer.echo("\n" + "\n".join(f"- **Warning** {warning}" for warning in warnings))
    else:
        show(plan, warnings)


def show(plan: Plan, warnings: Sequence[str] = ()) -> None:
    """For people, in colours where the terminal has them."""
    from rich.text import Text

    from worker.cli.output.screen import screen
    from worker.fleet.plan.diff import lines

    console = screen()
    for line in lines(plan):
        console.print(Text(line, STYLES.get(line[:1], "")), soft_wrap=True)
    for warning in warnings:
        console.print(Text(f"! {warning}", "yellow"), soft_wrap=True)


def _json(value: object) -> str:
    import orjson

    return orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
