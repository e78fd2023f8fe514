"""One job from the request to its files on disk, watched by a person."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson
from rich.console import Console

from worker.cli.client.connect import RunClient, Where, connect
from worker.cli.output import job_summary
from worker.cli.output.failure import Failure
from worker.cli.output.progress import display
from worker.cli.output.saving import save
from worker.cli.output.screen import screen
from worker.cli.output.timeline import Timeline
from worker.errors import StartupError

OK, FAILED, INTERRUPTED = 0, 1, 130
"""Exit codes; the last is what shells give a command that Ctrl-C ended."""


@dataclass(frozen=True, slots=True)
class Order:
    """What to run and where its outputs go; `request` is a native body without `output_format`."""

    request: Mapping[str, Any]
    title: str
    out: Path
    as_json: bool
    used: Mapping[str, Any] | None = None
    """Values of a template's parameters, where one was filled."""


async def carry_out(order: Order, where: Where) -> int:
    """The exit code. Results go to standard output, all that is said meanwhile to standard error."""
    results, notes = screen(), screen(stderr=True)
    if task := asyncio.current_task():  # as Ctrl-C: an engine of our own must not outlive us
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
    try:
        await _carry_out(order, where, results, notes)
    except Failure as failure:
        if order.as_json:
            _print_json(results, failure.as_dict())
        else:
            failure.show(notes)
        return FAILED
    except asyncio.CancelledError:
        return INTERRUPTED
    return OK


async def _carry_out(order: Order, where: Where, results: Console, notes: Console) -> None:
    async with AsyncExitStack() as stack:
        with notes.status("starting a worker with its engine" if where.starts_worker else "connecting"):
            try:
                client = await stack.enter_async_context(connect(where))
            except StartupError as error:
                raise Failure("not_started", str(error)) from error
        result, timeline = await watch(client, order, notes)
        try:
            saved = await save(result["outputs"], order.out, client.download)
        except OSError as error:
            raise Failure("not_saved", f"the outputs can't be saved in {order.out}: {error}") from error
    if order.as_json:
        _print_json(results, job_summary.as_dict(result, saved, timeline, order.used))
    else:
        job_summary.show(results, result, saved, timeline, order.used)


async def watch(client: RunClient, order: Order, notes: Console) -> tuple[dict[str, Any], Timeline]:
    """The native result and when what ran. Raises Failure; cancelled, it takes the job out of the engine first."""
    job: dict[str, Any] | None = None
    result: dict[str, Any] = {}
    with display(notes, order.title) as shown:
        try:
            async for name, data in client.follow(order.request):
                shown.hear(name, data)
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
    try:
        answer = await client.cancel(job)
    except Failure as failure:
        notes.print(f"the job could not be cancelled: {failure.message}")
    else:
        notes.print(cancellation(answer))


def cancellation(answer: Mapping[str, Any]) -> str:
    """What a worker's answer to a request to cancel means."""
    if answer.get("stopping"):
        return "cancelled: a node of the job ignores its interrupt and still runs"
    return "cancelled: the engine has let go of the job" if answer.get("cancelled") else "the job had just ended"


def _print_json(console: Console, body: Mapping[str, Any]) -> None:
    console.out(orjson.dumps(body, option=orjson.OPT_INDENT_2).decode(), highlight=False)
