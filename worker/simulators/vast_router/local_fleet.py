"""A simulated router and autoscaler with real workers behind it, each in a process of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from worker.errors import StartupError
from worker.simulators.vast_router import LocalVast, ReportLog, StatusReport, serve
from worker.subcommand import worker_command

STOP_S = 10.0
"""Seconds between SIGTERM and SIGKILL."""
TAIL_LINES = 15
"""Lines of a log that an error shows."""


@dataclass(frozen=True, slots=True)
class FleetMember:
    """One worker process, with an engine and a state folder of its own. `log` is None when it logs to the terminal."""

    number: int
    process: asyncio.subprocess.Process
    log: Path | None

    def tail(self) -> str:
        """Return a colon and the last lines of the log, to be added to an error message.

        Return an empty string when there is no log file or when it is empty.
        """
        lines = self.log.read_text(errors="replace").splitlines() if self.log else []
        return "\n  ".join([":", *lines[-TAIL_LINES:]]) if lines else ""


@dataclass(frozen=True, slots=True)
class LocalFleet:
    """A simulated router and the workers behind it."""

    vast: LocalVast
    members: list[FleetMember] = field(default_factory=list)

    async def wait_until_ready(self, timeout_s: float) -> None:
        """Wait until every worker has reported itself as loaded.

        Raises StartupError, with the end of the worker's log, when a worker exits or is not ready in time.
        """
        numbers = [member.number for member in self.members]
        loaded = asyncio.create_task(self.vast.record.until(lambda record: all_loaded(record, numbers), timeout_s))
        exits = {asyncio.create_task(member.process.wait()): member for member in self.members}
        try:
            await asyncio.wait({loaded, *exits}, return_when=asyncio.FIRST_COMPLETED)
            for exit_task, member in exits.items():
                if exit_task.done():
                    raise StartupError(f"worker {member.number} exited before it was ready{member.tail()}")
            await loaded
        except TimeoutError:
            not_ready = [member for member in self.members if not all_loaded(self.vast.record, [member.number])]
            tails = "".join(f"\nworker {member.number}{member.tail()}" for member in not_ready)
            raise StartupError(f"the workers were not ready within {timeout_s:g} s{tails}") from None
        finally:
            for task in (loaded, *exits):
                task.cancel()

    async def wait_for_exit(self) -> FleetMember:
        """Wait until a worker exits, and return it."""
        exits = {asyncio.create_task(member.process.wait()): member for member in self.members}
        try:
            done, _ = await asyncio.wait(exits, return_when=asyncio.FIRST_COMPLETED)
            return exits[done.pop()]
        finally:
            for task in exits:
                task.cancel()


def all_loaded(record: ReportLog, numbers: Sequence[int]) -> bool:
    """Return whether each of these workers has reported itself as loaded, with its speed and without an error."""
    return all(any(_is_loaded(report) for report in record.reports_of(number)) for number in numbers)


def _is_loaded(report: StatusReport) -> bool:
    return report.loadtime > 0 and report.max_perf > 0 and not report.error_msg


@asynccontextmanager
async def start_fleet(
    commands: Sequence[Sequence[str]], env: Mapping[str, str], logs: Path | None
) -> AsyncIterator[LocalFleet]:
    """Start one worker for each command (arguments of `comfy-worker`), numbered from 1, and stop them all at the end.

    `logs` is the folder for their logs; None means that they log to this terminal.
    """
    async with serve(tls=True) as vast:
        fleet = LocalFleet(vast)
        try:
            for number, command in enumerate(commands, 1):
                fleet.members.append(await start_worker(vast, number, command, env, logs))
            yield fleet
        finally:
            await asyncio.gather(*(stop_process(member.process) for member in fleet.members))


async def start_worker(
    vast: LocalVast, number: int, command: Sequence[str], env: Mapping[str, str], logs: Path | None
) -> FleetMember:
    """Start one worker process and return it. Its log is `worker-NUMBER.log` in `logs`.

    The caller has to stop it, for example with `stop_process`.
    """
    worker_env = {**env, **await vast.worker_env(number), "WORKER_VAST_HOST": "127.0.0.1"}
    log = logs / f"worker-{number}.log" if logs else None
    log_file = log.open("wb") if log else None
    try:
        # In a session of its own, so that Ctrl-C reaches only this process, which then stops the workers in order.
        process = await asyncio.create_subprocess_exec(
            *worker_command(*command),
            env=worker_env,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=log_file,
            stderr=log_file,
            start_new_session=True,
        )
    finally:
        if log_file:
            log_file.close()  # the process has its own copy of the file descriptor
    return FleetMember(number, process, log)


async def stop_process(process: asyncio.subprocess.Process, limit_s: float = STOP_S) -> None:
    """Stop a worker with SIGTERM, so that it can stop its engine too, and with SIGKILL after `limit_s` seconds."""
    if process.returncode is not None:
        return
    process.terminate()
    try:
        async with asyncio.timeout(limit_s):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
