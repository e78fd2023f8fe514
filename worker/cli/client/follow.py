"""One job of `comfy-worker run`, from the request to its saved outputs."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console

from worker.cli.client.connect import RunClient, RunTarget, connect
from worker.cli.output import job_summary
from worker.cli.output.failure import Failure
from worker.cli.output.json_output import print_json
from worker.cli.output.progress import display
from worker.cli.output.saving import save
from worker.cli.output.screen import screen
from worker.cli.output.timeline import Timeline
from worker.cli.output.waiting import waiting
from worker.errors import StartupError

OK, INTERRUPTED = 0, 130
"""Exit codes. The second is the one that shells use for a command that Ctrl-C ended."""


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The body of a native request without `output_format`, and how to show and save its result."""

    body: Mapping[str, Any]
    title: str
    out: Path
    as_json: bool
    params: Mapping[str, Any] | None = None
    """Values of the template's parameters, where the workflow is a template's."""


async def run_job(request: RunRequest, target: RunTarget) -> int:
    """Run the job, save its outputs, print the summary, and return the exit code. Raises Failure.

    The summary goes to standard output, progress to standard error.
    """
    if task := asyncio.current_task():  # SIGTERM acts as Ctrl-C: a worker that this command started ends with it
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _run_job(request, target, screen(stderr=True))
    except asyncio.CancelledError:
        return INTERRUPTED
    return OK


async def _run_job(request: RunRequest, target: RunTarget, notes: Console) -> None:
    """Run the job, save its outputs, and print the summary. `notes` is the console for progress."""
    async with AsyncExitStack() as stack:
        with waiting("starting a worker and its engine" if target.starts_worker else "connecting", notes):
            try:
                client = await stack.enter_async_context(connect(target))
            except StartupError as error:
                raise Failure("not_started", str(error)) from error
        result, timeline = await follow_job(client, request, notes)
        with waiting("saving the outputs", notes):
            try:
                saved = await save(result["outputs"], request.out, client.download)
            except OSError as error:
                raise Failure("not_saved", f"the outputs cannot be saved in {request.out}: {error}") from error
    if request.as_json:
        print_json(job_summary.as_dict(result, saved, timeline, request.params))
    else:
        job_summary.show(screen(), result, saved, timeline, request.params)


async def follow_job(client: RunClient, request: RunRequest, notes: Console) -> tuple[dict[str, Any], Timeline]:
    """Send the request and show the job's progress. Return its native result and the times of its nodes.

    Raises Failure when the job fails. Cancels the job when this task is cancelled.
    """
    job: dict[str, Any] | None = None
    result: dict[str, Any] = {}
    with display(notes, request.title) as shown:
        try:
            async for name, data in client.follow(request.body):
                shown.handle(name, data)
                if name == "accepted":
                    job = data
                elif name == "result":
                    result = data
        except asyncio.CancelledError:
            if job is not None:
                await _cancel(client, job, notes)
            raise
    if result.get("status") != "success":
        raise Failure.read(result)
    return result, shown.timeline


async def _cancel(client: RunClient, job: Mapping[str, Any], notes: Console) -> None:
    """Cancel the job at its worker and print whether that succeeded. `job` is the data of its `accepted` event."""
    try:
        answer = await client.cancel(job)
    except Failure as failure:
        notes.print(f"The job could not be cancelled: {failure.message}")
    else:
        notes.print(cancellation(answer))


def cancellation(answer: Mapping[str, Any]) -> str:
    """Return the sentence for a worker's response to a request to cancel."""
    if answer.get("stopping"):
        return "The job is cancelled, but one of its nodes ignores the interrupt and still runs."
    if answer.get("cancelled"):
        return "The job is cancelled and no longer runs."
    return "The job had ended before it could be cancelled."
