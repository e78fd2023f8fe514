"""Vast on this machine: its router and autoscaler played, and workers behind it as processes of their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import StartupError
from worker.simulators.vast_router import LocalVast, ReportLog, serve
from worker.subcommand import worker_command

STOP_S = 10.0
TAIL_LINES = 15


@dataclass(frozen=True, slots=True)
class FleetMember:
    """One worker: the SDK's and the gateway, with an engine and a state folder of its own."""

    number: int
    process: asyncio.subprocess.Process
    log: Path | None

    def tail(self) -> str:
        """The last lines it wrote; nothing where they went to the terminal."""
        lines = self.log.read_text(errors="replace").splitlines() if self.log else []
        return "\n  ".join([":", *lines[-TAIL_LINES:]]) if lines else ""


@dataclass(frozen=True, slots=True)
class LocalFleet:
    """The stand-in and the workers started behind it."""

    vast: LocalVast
    members: list[FleetMember] = field(default_factory=list)

    async def ready(self, timeout_s: float) -> None:
        """Wait until the autoscaler counts every worker as loaded. Raises StartupError with the worker's last words."""
        numbers = [member.number for member in self.members]
        loaded = asyncio.create_task(self.vast.record.until(lambda record: all_loaded(record, numbers), timeout_s))
        ends = {asyncio.create_task(member.process.wait()): member for member in self.members}
        try:
            await asyncio.wait({loaded, *ends}, return_when=asyncio.FIRST_COMPLETED)
            for member in (member for end, member in ends.items() if end.done()):
                raise StartupError(f"worker {member.number} ended before it was ready{member.tail()}")
            await loaded
        except TimeoutError:
            silent = [member for member in self.members if not all_loaded(self.vast.record, [member.number])]
            tails = "".join(f"\nworker {member.number}{member.tail()}" for member in silent)
            raise StartupError(f"the workers were not ready within {timeout_s:g} s{tails}") from None
        finally:
            for task in (loaded, *ends):
                task.cancel()

    async def ended(self) -> FleetMember:
        """The first worker that ends by itself."""
        ends = {asyncio.create_task(member.process.wait()): member for member in self.members}
        try:
            done, _ = await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
            return ends[done.pop()]
        finally:
            for task in ends:
                task.cancel()


def all_loaded(record: ReportLog, numbers: Sequence[int]) -> bool:
    """True once each of them has reported itself loaded and measured, and no error."""
    return all(any(said.loadtime and said.max_perf and not said.error_msg for said in record.of(n)) for n in numbers)


@asynccontextmanager
async def start_fleet(
    commands: Sequence[Sequence[str]], env: Mapping[str, str], logs: Path | None
) -> AsyncIterator[LocalFleet]:
    """Start one worker a command (arguments of `comfy-worker`), numbered from 1; end them all on leaving.

    `logs` is a folder for what they write; None leaves it on this terminal.
    """
    async with serve(tls=True) as vast:
        found = LocalFleet(vast)
        try:
            for number, command in enumerate(commands, 1):
                found.members.append(await _start(vast, number, command, env, logs))
            yield found
        finally:
            await asyncio.gather(*(stop_process(member.process) for member in found.members))


async def _start(
    vast: LocalVast, number: int, command: Sequence[str], env: Mapping[str, str], logs: Path | None
) -> FleetMember:
    given = {**env, **await vast.worker_env(number), "WORKER_VAST_HOST": "127.0.0.1"}
    log = logs / f"worker-{number}.log" if logs else None
    sink = log.open("wb") if log else None
    try:
        # A session of its own: Ctrl-C is for us, who then stop the workers in order.
        process = await asyncio.create_subprocess_exec(
            *worker_command(*command),
            env=given,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=sink,
            stderr=sink,
            start_new_session=True,
        )
    finally:
        if sink:
            sink.close()
    return FleetMember(number, process, log)


async def stop_process(process: asyncio.subprocess.Process, limit_s: float = STOP_S) -> None:
    """SIGTERM lets a worker end its engine too; one that takes longer than the limit is killed."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
