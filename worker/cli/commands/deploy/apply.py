"""`comfy-worker deploy apply`: the changes of a plan, with a smoke job as the proof."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from worker.cli.commands.deploy.group import FILE, File, Image, Rotate, Server, account, fleet_in, reported_errors
from worker.cli.options import Json

if TYPE_CHECKING:
    from collections.abc import Callable

    from worker.fleet.apply.apply import ApplyResult
    from worker.fleet.apply.smoke import SmokeResult
    from worker.fleet.definition.fleet import Fleet
    from worker.fleet.plan.plan import Plan
    from worker.fleet.vast.account import Account

EXAMPLES = (
    "comfy-worker deploy apply --image ghcr.io/you/comfy-worker@sha256:DIGEST",
    "comfy-worker deploy apply --plan plan.json",
    "comfy-worker deploy apply --rotate HF_TOKEN --json",
)


def command(
    *,
    file: File = FILE,
    image: Image = None,
    plan: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Apply this plan of `deploy plan --out`. An outdated plan is rejected."),
    ] = None,
    rotate: Rotate = None,
    as_json: Json = False,
    server_url: Server = None,
) -> None:
    """Change the fleet at Vast to match vast.toml.

    Waits until workers are ready, then runs a smoke job. If either fails, the groups are put back to their previous
    template. An interrupted apply can be run again.

    Exit code 1: the apply has failed.
    """
    from worker.fleet.plan.plan_file import load

    with reported_errors(file):
        planned = load(plan.read_bytes()) if plan else None
        fleet = fleet_in(file, image or (planned.image if planned else None))
        rotated = list(planned.rotated) if planned else rotate or []
        with account(server_url) as vast:
            applied, applied_plan = _apply(vast, fleet, planned, rotated, server_url)
            _print_result(applied, applied_plan, vast.calls, as_json=as_json)
    raise typer.Exit(not applied.ok)


def _apply(
    vast: Account, fleet: Fleet, planned: Plan | None, rotated: list[str], server: str | None
) -> tuple[ApplyResult, Plan]:
    """Apply the fleet file, and return the result and the plan that was carried out.

    Raises DeployError when `planned`, a saved plan, no longer matches the account, and when the apply cannot start.
    """
    from worker.cli.commands.deploy.display import display
    from worker.cli.output.screen import screen
    from worker.cli.output.waiting import waiting
    from worker.fleet.apply.apply import apply
    from worker.fleet.apply.execution import Execution, required_values
    from worker.fleet.plan.plan import fleet_resources, make_plan
    from worker.fleet.plan.plan_file import check_fresh
    from worker.settings import environment

    smoke = _smoke_job(fleet, server)
    with waiting("reading the account at Vast"):
        actual = vast.read()
    plan = make_plan(fleet, actual, rotated)
    if planned:
        check_fresh(planned, plan)
    values = required_values(fleet, plan, environment())
    execution = Execution(vast, fleet, fleet_resources(fleet, actual), values)
    with display(screen(stderr=True)) as shown:
        return apply(execution, vast, fleet, plan, smoke, shown), plan


def _smoke_job(fleet: Fleet, server: str | None) -> Callable[[], SmokeResult] | None:
    """Return the function that runs the smoke job, or None if the fleet file has no smoke job.

    Raises DeployError when the workflow of the job cannot be read.

    The job is made before anything is changed, so that a wrong job does not cause a rollback.
    """
    from worker.fleet.apply.smoke import run_smoke, smoke_job
    from worker.settings import Settings
    from worker.workflow.templates.library import read_library

    if fleet.smoke is None:
        return None
    job = smoke_job(fleet.smoke, read_library(Settings.from_env().templates))
    return lambda: run_smoke(job, fleet.endpoint.name, server)


def _print_result(applied: ApplyResult, plan: Plan, calls: int, *, as_json: bool) -> None:
    """Print the result of the apply. `calls` is the number of requests to Vast's API."""
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json(
            {
                "ok": applied.ok,
                "steps": applied.steps,
                "calls": calls,
                "problem": applied.problem or None,
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
        done = f"{applied.steps} changes" if applied.steps else "nothing to change"
        console.print(Text.assemble(("✓ ", "bold green"), f"{done} in {calls} calls{ready}"))
        return
    console.print(Text.assemble(("✗ ", "bold red"), (applied.problem, "bold")))
    if applied.rolled_back:
        console.print(f"  rolled back to the previous version: {', '.join(applied.rolled_back)}")
    else:
        console.print("  there is no previous version to roll back to, so the new one stays")
    console.print("  → comfy-worker deploy status, comfy-worker deploy logs")
