"""`comfy-worker doctor`: checks of the machine, the settings and ComfyUI, before a worker runs."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import StartupError
from worker.settings import Settings, environment

if TYPE_CHECKING:
    from worker.check_finding import CheckFinding
    from worker.platforms.base import Platform

EXAMPLES = (
    "comfy-worker doctor",
    "comfy-worker doctor --comfyui http://127.0.0.1:8188 --json",
    "comfy-worker doctor --settings",
)
STYLES = {"ok": ("✓", "green"), "warn": ("!", "bold yellow"), "fail": ("✗", "bold red")}
"""Sign and style of a row, by its level."""


def command(
    *,
    comfyui: Annotated[str | None, typer.Option(help="ComfyUI to check, instead of WORKER_COMFYUI.")] = None,
    platform: Annotated[str | None, typer.Option(help="none, vast, vast-local, modal, runpod or auto.")] = None,
    settings: Annotated[
        bool, typer.Option("--settings", help="Print every setting with its default, and check nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a JSON array.")] = False,
) -> None:
    """Check this machine and its settings.

    A row is `ok`, `warn` (works, with a limitation) or `fail` (a worker would not start, or would reject every job).
    Exit code 1: at least one row is `fail`.
    """
    if settings:
        _print_settings(as_json)
        return
    from worker.check_finding import Level, fail
    from worker.cli.output.waiting import waiting
    from worker.platforms.registry import choose_platform

    try:
        settings_here = Settings.from_env(comfyui=comfyui, platform=platform)
        with waiting("checking this machine"):
            findings = asyncio.run(run_checks(settings_here, choose_platform(settings_here.platform, environment())))
    except StartupError as error:
        findings = [fail("settings", str(error), "run `comfy-worker doctor --settings` to list every setting")]
    _print_findings(findings, as_json)
    raise typer.Exit(any(finding.level is Level.FAIL for finding in findings))


async def run_checks(settings: Settings, platform: Platform) -> list[CheckFinding]:
    """Run all checks and return their findings, in the order in which they are printed."""
    from worker.cli.checks import comfyui, host, machine
    from worker.cli.checks.sandbox import sandbox

    sdks, gpus, engine = await asyncio.gather(machine.sdks(platform), machine.gpus(settings), comfyui.engine(settings))
    return [
        machine.python(),
        machine.packages(),
        host.state_folder(settings),
        host.disk(settings),
        host.port(settings),
        *gpus,
        *engine,
        *sandbox(settings),
        host.hard_links(settings),
        *host.bucket_keys(settings),
        *sdks,
        *platform.check(environment()),
    ]


def _print_findings(findings: list[CheckFinding], as_json: bool) -> None:
    """Print a row for each finding: its level, its name, its message, and the remedy."""
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json([_row(finding) for finding in findings])
        return
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in findings:
        sign, style = STYLES[finding.level]
        message = Text(finding.says)
        if finding.cure:
            message.append(f"\n→ {finding.cure}", style)
        table.add_row(Text(f"{sign} {finding.level}", style), finding.name, message)
    screen().print(table)


def _row(finding: CheckFinding) -> dict[str, str]:
    """Return a finding for `--json`."""
    return {"name": finding.name, "level": finding.level, "says": finding.says, "cure": finding.cure}


def _print_settings(as_json: bool) -> None:
    """Print the variable, the default and the meaning of each setting."""
    rows = list(_settings())
    if as_json:
        from worker.cli.output.json_output import print_json

        print_json([dict(zip(("variable", "default", "meaning"), row, strict=True)) for row in rows])
        return
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("variable", "default", "meaning"):
        table.add_column(name, no_wrap=name == "variable")
    for variable, default, meaning in rows:
        table.add_row(Text(variable, "bold"), Text(default), Text(meaning))
    screen().print(table)


def _settings() -> Iterator[tuple[str, str, str]]:
    """Yield (variable, default, meaning) of the worker's settings, then of each platform's. No variable is repeated."""
    from worker.platforms.registry import PLATFORMS

    listed: set[str] = set()
    platform_rows = [row for platform in PLATFORMS for row in platform.variables()]
    for variable, default, meaning in (*Settings.table(), *platform_rows):
        if variable not in listed:
            yield variable, default, meaning
        listed.add(variable)
