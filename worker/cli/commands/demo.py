"""`comfy-worker demo`: workers behind a local copy of Vast's router, and real workflows. `make run` calls it."""

from __future__ import annotations

import asyncio
import signal
import tempfile
from collections.abc import Coroutine
from dataclasses import dataclass
from pathlib import Path
from shutil import rmtree
from typing import TYPE_CHECKING, Annotated, Any

import typer

from worker.cli.options import Json

if TYPE_CHECKING:
    from worker.cli.demo.demo_report import Steps
    from worker.cli.demo.demo_workflows import DemoRequest
    from worker.cli.demo.local_run import DemoResult, DemoSetup
    from worker.simulators.vast_router import WorkerSummary
    from worker.simulators.vast_router.local_fleet import LocalFleet

INTERRUPTED = 130
ROUTER = "vast"
"""The platform whose router and autoscaler are simulated. The others run one picture."""

EXAMPLES = (
    "comfy-worker demo",
    "comfy-worker demo --on modal",
    "comfy-worker demo --on runpod",
    "comfy-worker demo --on proxy",
    "comfy-worker demo --workers 1 --gpus 4 --kill-one",
    "comfy-worker demo --comfyui http://127.0.0.1:8188 --workflows my-workflows --json",
)


def command(  # noqa: PLR0913 - one parameter an option
    *,
    on: Annotated[
        str,
        typer.Option(
            metavar="PLATFORM",
            help="vast, modal, runpod, proxy or none: where the workflows run.",
        ),
    ] = ROUTER,
    comfyui: Annotated[
        str | None, typer.Option(metavar="URL", help="A running ComfyUI that all workers share.")
    ] = None,
    out: Annotated[Path, typer.Option(help="Folder for the outputs.")] = Path("out"),
    workers: Annotated[int, typer.Option(min=1, max=16, help="Number of workers.")] = 2,
    gpus: Annotated[int, typer.Option(min=1, max=16, help="Number of engines of each worker.")] = 1,
    kill_one: Annotated[
        bool,
        typer.Option("--kill-one", help="Kill an engine while it runs a job. With several engines, no job is lost."),
    ] = False,
    workflows: Annotated[
        Path | None, typer.Option(help="Folder of the workflows to send, instead of the two shipped ones.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Run workflows through a local copy of Vast's router.

    Vast's own client sends them to workers on this machine. Prints the saved outputs, the time of each stage, and the
    workers' reports to the autoscaler. Needs no GPU and no account. With `--on modal`, the app is deployed with
    `modal deploy` to a local stand-in for Modal, and Modal's own client gets one picture. With `--on runpod`, a worker
    takes one job from a local stand-in for RunPod's queue. With `--on proxy`, plain HTTP requests go to one URL in
    front of all three stand-ins.
    """
    options = DemoOptions(comfyui, workers, workflows, gpus, kill_one)
    _check(on, options)
    folders = DemoFolders(Path(tempfile.mkdtemp(prefix="comfy-worker-demo-")), out)
    _run_in(
        folders, _demo(options, folders, as_json=as_json) if on == ROUTER else _single(on, folders, as_json=as_json)
    )


def _check(on: str, options: DemoOptions) -> None:
    """Raise BadParameter for a name of no platform, and for options that do not go together."""
    from worker.cli.demo.runs import SINGLE_RUNS

    names = (ROUTER, *SINGLE_RUNS)
    if on not in names:
        raise typer.BadParameter(f"there is no demo on {on!r}. The platforms: {', '.join(names)}")
    if on != ROUTER and options != DemoOptions():
        raise typer.BadParameter(f"--on {on} makes one picture: of the other options, it has only --out and --json")
    if options.comfyui and (options.gpus > 1 or options.kill_one):
        raise typer.BadParameter("--gpus and --kill-one need engines that the demo starts: leave out --comfyui")


def _run_in(folders: DemoFolders, demo: Coroutine[Any, Any, None]) -> None:
    """Run a demo, and remove its folder of states and logs, unless it fails."""
    try:
        asyncio.run(demo)
    except asyncio.CancelledError:
        typer.echo("The demo has stopped.", err=True)
        rmtree(folders.state)
        raise typer.Exit(INTERRUPTED) from None
    except BaseException:
        if any(folders.state.iterdir()):
            typer.echo(f"The workers' logs are in {folders.state}", err=True)
        else:
            folders.state.rmdir()
        raise
    rmtree(folders.state)


@dataclass(frozen=True, slots=True)
class DemoOptions:
    """The options for the workers and their workflows."""

    comfyui: str | None = None
    workers: int = 2
    workflows: Path | None = None
    gpus: int = 1
    kill_one: bool = False


@dataclass(frozen=True, slots=True)
class DemoFolders:
    """`state` is the folder of the workers' states and logs, `out` is the folder for the outputs."""

    state: Path
    out: Path


async def _demo(options: DemoOptions, folders: DemoFolders, *, as_json: bool) -> None:
    """Run the demo and print its result. Raises Failure."""
    from worker.cli.demo import demo_report
    from worker.cli.output.json_output import print_json
    from worker.cli.output.screen import screen

    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    steps = demo_report.Steps(screen(stderr=True))
    setup = await _setup(options)
    results, rows = await _run(steps, setup, folders)
    if as_json:
        print_json(demo_report.as_dict(results, rows, steps.total))
        return
    console = screen()
    for table in (demo_report.output_files(results), demo_report.times(results), demo_report.reports(rows)):
        console.print()
        console.print(table)
    console.print(f"\ndone in {steps.total:.1f} s")


async def _single(on: str, folders: DemoFolders, *, as_json: bool) -> None:
    """Run one picture on a platform, and print its path. Raises Failure."""
    from worker.cli.demo.demo_report import Steps
    from worker.cli.demo.runs import SINGLE_RUNS
    from worker.cli.output.json_output import print_json
    from worker.cli.output.screen import screen

    if task := asyncio.current_task():
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    run = await SINGLE_RUNS[on](Steps(screen(stderr=True)), folders.state, folders.out)
    if as_json:
        print_json(run.as_dict())
        return
    typer.echo(f"platform  {run.platform}\nclient    {run.client}")
    for path in run.paths:
        typer.echo(f"picture   {path}")


async def _setup(options: DemoOptions) -> DemoSetup:
    """Return the workers to start and the prompts to send, which fit the engine. Raises Failure."""
    from worker.cli.demo import demo_workflows
    from worker.cli.demo.local_run import DemoSetup

    engine = await demo_workflows.inspect_engine(options.comfyui) if options.comfyui else demo_workflows.EMBEDDED
    workflows = demo_workflows.read_workflows(options.workflows)
    prompts = {name: demo_workflows.fit_to_engine(prompt, engine) for name, prompt in workflows.items()}
    return DemoSetup(options.workers, engine, prompts, options.comfyui, options.gpus, options.kill_one)


async def _run(steps: Steps, setup: DemoSetup, folders: DemoFolders) -> tuple[list[DemoResult], list[WorkerSummary]]:
    """Start the fleet, send the requests, and return the results and the reports of the workers."""
    from worker.cli.demo import demo_workflows, local_run
    from worker.cli.output.waiting import waiting

    requests = list(demo_workflows.requests(setup.prompts, setup.gpus))
    with waiting("starting a local copy of Vast's router, and the workers", steps.console) as shown:
        async with local_run.start_demo_fleet(setup, folders.state) as fleet:
            steps.done(f"{setup.description} behind a local copy of Vast's router  ({setup.engine.name})")
            shown.update("sending workflows through Vast's own client")
            results = await _send(steps, setup, fleet, requests, folders)
            steps.done(f"{len(results)} workflows through Vast's own client")
            shown.update("waiting for the workers' reports")
            await local_run.wait_for_reports(fleet.vast.record, len(requests))
            steps.done("every request is reported to the autoscaler")
            rows = fleet.vast.record.summaries()
            shown.update("stopping the workers")
        steps.done("all workers have stopped")
    return results, rows


async def _send(
    steps: Steps, setup: DemoSetup, fleet: LocalFleet, requests: list[DemoRequest], folders: DemoFolders
) -> list[DemoResult]:
    """Send the requests and return their results. With `kill_one`, kill an engine after half of the responses."""
    from worker.cli.demo import local_run
    from worker.cli.demo.engine_kill import kill_one

    async def kill_after_half() -> None:
        """Kill an engine after half of the responses, and print its name."""
        await halfway.wait()
        engine = await kill_one(folders.state)
        steps.done(f"{engine} was killed while it ran a job, after half of the responses")

    halfway = asyncio.Event()
    killing = asyncio.create_task(kill_after_half()) if setup.kill_one else None
    try:
        results = await local_run.send_requests(fleet, requests, folders.out, halfway)
        if killing is not None:
            await killing
    finally:
        if killing is not None:
            killing.cancel()
    return results
