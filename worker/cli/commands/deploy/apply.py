"""`comfy-worker deploy apply`: make it so."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, File, Image, Json, Rotate, Server, account, fleet_in, told

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.fleet.apply.apply import ApplyResult
    from worker.fleet.apply.smoke import SmokeResult
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.plan.plan import Plan
    from worker.fleet.vast.account import Account


def command(
    *,
    file: File = FILE,
    image: Image = None,
    plan: Annotated[
        Path | None, typer.Option(metavar="FILE", help="of plan --out; refused if anything has changed since")
    ] = None,
    rotate: Rotate = None,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Change the account to what vast.toml says, and prove it.

    Waits until workers are ready and sends a smoke job; if either fails, the groups go back to
    their former template and the exit code is 1. Cut off, it is simply run again.
    """
    from worker.fleet.plan.plan_file import load

    with told():
        planned = load(plan.read_bytes()) if plan else None
        fleet = fleet_in(file, image or (planned.image if planned else None))
        rotated = list(planned.rotated) if planned else rotate or []
        with account(server_url) as found:
            applied, done = _apply(found, fleet, planned, rotated, server_url)
            _tell(applied, done, found.calls, as_json=as_json)
    raise typer.Exit(not applied.ok)


def _apply(
    found: Account, fleet: Fleet, planned: Plan | None, rotated: list[str], server: str | None
) -> tuple[ApplyResult, Plan]:
    from worker.cli.commands.deploy.display import display
    from worker.cli.output.screen import screen
    from worker.fleet.apply.apply import apply
    from worker.fleet.apply.execution import Execution, values_for
    from worker.fleet.plan.plan import fleet_resources, make_plan
    from worker.fleet.plan.plan_file import check_fresh
    from worker.settings import environment

    smoke = _smoker(fleet, server)
    actual = found.read()
    plan = make_plan(fleet, actual, rotated)
    if planned:
        check_fresh(planned, plan)
    values = values_for(fleet, plan, environment())
    execution = Execution(found, fleet, fleet_resources(fleet, actual), values)
    with display(screen(stderr=True)) as heard:
        return apply(execution, found, fleet, plan, smoke, heard), plan


def _smoker(fleet: Fleet, server: str | None) -> Callable[[], SmokeResult] | None:
    """Filled in before anything is changed: a job that can't be sent is no reason to roll back."""
    from worker.fleet.apply.smoke import job_of, run_smoke
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    if fleet.smoke is None:
        return None
    job = job_of(fleet.smoke, read_library(Settings.from_env().templates))
    return lambda: run_smoke(job, fleet.endpoint.name, server)


def _tell(applied: ApplyResult, plan: Plan, calls: int, *, as_json: bool) -> None:
    if as_json:
        from worker.cli.commands.templates.show import print_json

        print_json(
            {
                **{"ok": applied.ok, "steps": applied.steps, "calls": calls, "problem": applied.problem or None},
                "ready": applied.progress.ready if applied.progress else None,
                "smoke_s": round(applied.smoke.seconds, 2) if applied.smoke else None,
                "rolled_back": list(applied.rolled_back),
                "most_per_hour": plan.most_per_hour,
            }
        )
        return
    from rich.text import Text

    from worker.cli.output.screen import screen

    console = screen()
    if applied.ok:
        ready = f", {applied.progress}" if applied.progress else ""
        done = f"{applied.steps} steps taken" if applied.steps else "nothing to do"
        console.print(Text.assemble(("✓ ", "bold green"), f"{done} in {calls} calls{ready}"))
        return
    console.print(Text.assemble(("✗ ", "bold red"), (applied.problem, "bold")))
    if applied.rolled_back:
        console.print(f"  rolled back to the former version: {', '.join(applied.rolled_back)}")
    else:
        console.print("  there is no former version to go back to; what was made is left as it is")
    console.print(Text("  comfy-worker deploy status, comfy-worker deploy logs", "dim"))
