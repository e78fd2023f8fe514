"""`comfy-worker demo`: what `make run` calls."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from rich.console import Console

    from worker.cli.demo.demo_report import Steps
    from worker.cli.demo.rehearsal import DemoCast, Played
    from worker.cli.demo.scene import DemoRequest
    from worker.simulators.vast_router.local_fleet import LocalFleet


FAILED, INTERRUPTED = 1, 130


def command(
    *,
    comfyui: Annotated[str | None, typer.Option(metavar="URL", help="a ComfyUI that all workers share")] = None,
    out: Annotated[Path, typer.Option(help="folder for the pictures")] = Path("out"),
    workers: Annotated[int, typer.Option(min=1, max=16, help="how many")] = 2,
    gpus: Annotated[int, typer.Option(min=1, max=16, help="engines of each worker, as on so many GPUs")] = 1,
    kill_one: Annotated[
        bool, typer.Option("--kill-one", help="kill an engine in the middle; with several engines no job is lost")
    ] = False,
    workflows: Annotated[
        Path | None, typer.Option(help="folder of the workflows that are sent; without it two of ours")
    ] = None,
) -> None:
    """Play Vast on this machine and send it real workflows.

    Prints the pictures, the time of each stage, and what the autoscaler was told.
    """
    if comfyui and (gpus > 1 or kill_one):
        raise typer.BadParameter("engines that this command starts are needed: leave out --comfyui")
    folder = Path(tempfile.mkdtemp(prefix="comfy-worker-demo-"))
    options = DemoOptions(comfyui, workers, workflows, gpus, kill_one)
    code = asyncio.run(_demo(options, DemoFolders(folder, out)))
    if code == FAILED and any(folder.iterdir()):
        typer.echo(f"\n  what the workers wrote is in {folder}")
    else:
        rmtree(folder)
    raise typer.Exit(code)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """What the command line says of the workers and their workflows."""

    comfyui: str | None
    workers: int
    workflows: Path | None
    gpus: int
    kill_one: bool


@dataclass(frozen=True, slots=True)
class DemoFolders:
    """`state` is for the workers, `out` for the pictures."""

    state: Path
    out: Path


async def _demo(options: DemoOptions, folders: DemoFolders) -> int:
    """The exit code."""
    from worker.cli.output.failure import Failure
    from worker.cli.output.screen import screen

    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    console = screen()
    try:
        await _perform(console, await _cast(options), folders)
    except Failure as failure:
        failure.show(console)
        return FAILED
    except asyncio.CancelledError:
        console.print("stopped")
        return INTERRUPTED
    return 0


async def _cast(options: DemoOptions) -> DemoCast:
    from worker.cli.demo import scene
    from worker.cli.demo.rehearsal import DemoCast

    engine = await scene.look(options.comfyui) if options.comfyui else scene.EMBEDDED
    prompts = {name: scene.fit(prompt, engine) for name, prompt in scene.read_workflows(options.workflows).items()}
    return DemoCast(options.workers, engine, prompts, options.comfyui, options.gpus, options.kill_one)


async def _played(
    steps: Steps, cast: DemoCast, fleet: LocalFleet, requests: list[DemoRequest], folders: DemoFolders
) -> list[Played]:
    """Send the requests; with `kill_one`, an engine is killed between them."""
    from worker.cli.demo import rehearsal
    from worker.cli.demo.engine_kill import kill_one

    async def accident() -> None:
        await halfway.wait()
        steps.done(f"{await kill_one(folders.state)} was killed while it ran a job, with half of the answers there")

    halfway = asyncio.Event()
    killing = asyncio.create_task(accident()) if cast.kill_one else None
    try:
        played = await rehearsal.play(fleet, requests, folders.out, halfway)
        if killing is not None:
            await killing
    finally:
        if killing is not None:
            killing.cancel()
    return played


async def _perform(console: Console, cast: DemoCast, folders: DemoFolders) -> None:
    from worker.cli.demo import demo_report, rehearsal, scene

    requests = list(scene.requests(cast.prompts, cast.gpus))
    with console.status("starting Vast's router, played here, and the workers") as status:
        steps = demo_report.Steps(console)
        async with rehearsal.raised(cast, folders.state) as fleet:
            steps.done(f"{cast.counted} behind Vast's router, played here  ({cast.engine.name})")
            status.update("sending workflows through Vast's own client")
            played = await _played(steps, cast, fleet, requests, folders)
            steps.done(f"{len(played)} workflows through Vast's own client")
            status.update("waiting for the workers' reports")
            await rehearsal.told(fleet.vast.record, len(requests))
            steps.done("the autoscaler has heard of each")
            rows = fleet.vast.record.summaries()
            status.update("stopping")
        steps.done("all stopped")
    for table in (demo_report.pictures(played), demo_report.times(played), demo_report.reports(rows)):
        console.print()
        console.print(table)
    console.print(f"\ndone in {steps.total:.1f} s")
