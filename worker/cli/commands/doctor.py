"""`comfy-worker doctor`: what is here, what is missing, and what would fail."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer

from worker.errors import StartupError
from worker.settings import Settings, environment

if TYPE_CHECKING:
    from worker.check_finding import CheckFinding
    from worker.platforms.base import Platform


def command(
    *,
    comfyui: Annotated[str | None, typer.Option(help="look at this engine instead of WORKER_COMFYUI's")] = None,
    platform: Annotated[str | None, typer.Option(help="none, vast, vast-local or auto")] = None,
    settings: Annotated[bool, typer.Option("--settings", help="print every setting, and look at nothing")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="print JSON")] = False,
) -> None:
    """Say what is here, what is missing, what would fail."""
    if settings:
        _print_settings(as_json)
        return
    from worker.check_finding import Level, fail
    from worker.platforms.registry import choose_platform

    try:
        settings_here = Settings.from_env(comfyui=comfyui, platform=platform)
        findings = asyncio.run(look(settings_here, choose_platform(settings_here.platform, environment())))
    except StartupError as error:
        findings = [fail("settings", str(error), "`comfy-worker doctor --settings` lists them all")]
    _print_findings(findings, as_json)
    raise typer.Exit(any(finding.level is Level.FAIL for finding in findings))


async def look(settings: Settings, platform: Platform) -> list[CheckFinding]:
    """Everything, in the order in which it would matter."""
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
    if as_json:
        _print_json([dataclasses.asdict(finding) for finding in findings])
        return
    from rich.table import Table
    from rich.text import Text

    from worker.cli.output.screen import screen

    styles = {"ok": ("✓", "green"), "warn": ("!", "bold yellow"), "fail": ("✗", "bold red")}
    table = Table(box=None, show_header=False, padding=(0, 2, 0, 0))
    for finding in findings:
        sign, style = styles[finding.level]
        says = Text(finding.says)
        if finding.cure:
            says.append(f"\n→ {finding.cure}", style)
        table.add_row(Text(f"{sign} {finding.level}", style), Text(finding.name, "bold"), says)
    screen().print(table)


def _print_settings(as_json: bool) -> None:
    rows = list(_settings())
    if as_json:
        _print_json([dict(zip(("variable", "default", "meaning"), row, strict=True)) for row in rows])
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
    """The worker's own, then those of each platform; a variable that several read is listed once."""
    from worker.platforms.registry import PLATFORMS

    seen = set()
    for row in (*Settings.table(), *(row for platform in PLATFORMS for row in platform.variables())):
        if row[0] not in seen:
            yield row
        seen.add(row[0])


def _print_json(value: object) -> None:
    import orjson

    typer.echo(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode())
