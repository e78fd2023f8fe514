"""Keeps the process of one engine running: starts it, waits until it is ready, and restarts it when it has ended."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp

from worker.backoff import Backoff
from worker.engine.process import die_with_parent
from worker.engine.process.exit_cause import EngineEnd, exit_cause, oom_kills
from worker.engine.process.failed_packs import FailedPack, read_failed_packs
from worker.engine.process.gpu import DRIVER, gpu_is_gone
from worker.engine.process.log_file import START, last_line, rotate_log
from worker.engine.process.names import FIRST_ENGINE
from worker.engine.process.sandbox import launcher
from worker.engine.process.sandbox.policy import SandboxPolicy
from worker.errors import WorkerFailed
from worker.events import EngineLost, EngineStarted, LossCause, Notify, ignore_event
from worker.settings import ComfySettings, engine_environment

log = logging.getLogger(__name__)

RESTART = Backoff(0.5, 10.0)
STEADY_S = 60.0
"""An engine that ran this long resets the backoff."""
STOP_S = 5.0
"""Seconds between SIGTERM and SIGKILL."""
READY_POLL_S = 0.1
"""Seconds between two requests to an engine that is starting."""
ANSWER = aiohttp.ClientTimeout(total=10)
LOG_CHECK_S = 30.0
"""Seconds between two checks of the log's size."""
END_S = 2.0
"""Seconds that a process may take to end after it stopped listening."""


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """The command of one engine, its URL and log, and the commands that check its GPU.

    `probe` runs a program on the GPU, and is empty for an engine without one. `driver` checks whether NVIDIA's driver
    finds the GPU. `env` is added to the variables of the worker that an engine may see. Each engine has its own name,
    port, folders and log. `sandbox` is what the engine may access, or None for everything that the worker can.
    """

    arguments: Sequence[str]
    url: str
    logs: Path
    probe: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    driver: Sequence[str] = DRIVER
    name: str = FIRST_ENGINE
    sandbox: SandboxPolicy | None = None

    @property
    def label(self) -> str:
        """The engine's name in log messages."""
        return "the engine" if self.name == FIRST_ENGINE else self.name


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """One run of the process, from start to end. `answered` is True if it was ready.

    `cause` follows the engine's name in messages, such as "ended with code 1".
    """

    answered: bool
    seconds: float
    cause: str


class Supervisor:
    """Starts the engine of one command, and starts it again each time it has ended."""

    def __init__(self, command: EngineCommand, settings: ComfySettings, notify: Notify = ignore_event) -> None:
        self._command = command
        self._notify = notify
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._restart_reason = ""
        self._check_gpu = False
        self._healthy = False
        self._end: EngineEnd | None = None
        """The end of the last run."""
        self._over = asyncio.Event()
        """Set while no engine runs."""
        self._failed_packs: tuple[FailedPack, ...] | None = None
        """Failed packs of the current run, or None until the engine is ready."""

    @property
    def url(self) -> str:
        """The engine's URL, which stays the same after a restart."""
        return self._command.url

    @property
    def failed_packs(self) -> tuple[FailedPack, ...]:
        """Node packs that the engine could not import at its last start."""
        if self._failed_packs is None:  # a client may reach the engine before the supervisor does
            return read_failed_packs(self._command.logs)
        return self._failed_packs

    async def end_since(self, started_at: float) -> EngineEnd | None:
        """Return how the engine ended after `started_at`, or None if it has not ended and does not end within END_S.

        `started_at` is on the monotonic clock.
        """
        if self._end is None or self._end.at < started_at:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), END_S)
        return self._end if self._end is not None and self._end.at >= started_at else None

    def restart(self, reason: str, *, check_gpu: bool = False, healthy: bool = False) -> None:
        """Kill the engine, so that it is started again. An engine that is starting is not affected.

        `healthy` means that the engine works, and is killed only because of the node that it runs. Then the pause
        before the next start does not grow. With `check_gpu` the GPU is checked before the next start.
        """
        if self._process is not None:
            log.error("restarting %s: %s", self._command.label, reason)
            self._restart_reason, self._check_gpu, self._healthy = reason, check_gpu, healthy
            _signal(self._process, signal.SIGKILL)
            self._process = None

    async def keep_running(self) -> None:
        """Keep the engine running until the task is cancelled.

        Raises WorkerFailed when it cannot be started any more.
        """
        quick_ends, failed_starts = 0, 0
        while True:
            run = await self._run_once()
            self._notify(EngineLost(self._command.name, self._loss_cause(run)))
            failed_starts = 0 if run.answered else failed_starts + 1
            quick_ends = 0 if run.seconds > STEADY_S or self._healthy else quick_ends + 1
            reason = self._restart_reason or f"it {run.cause}"
            if failed_starts >= self._settings.tries:
                tries = f" in {failed_starts} tries" if failed_starts > 1 else ""
                raise WorkerFailed(
                    f"ComfyUI did not start{tries}: {reason}; last line of its log: {last_line(self._command.logs)}"
                )
            if self._check_gpu and await self._gpu_is_gone():
                raise WorkerFailed(f"the GPU is gone: {reason}")
            self._restart_reason, self._check_gpu, self._healthy = "", False, False
            pause, log_path = RESTART.pause(quick_ends), self._command.logs
            log.error("%s has to start again in %.1f s: %s (its log: %s)", self._command.label, pause, reason, log_path)
            await asyncio.sleep(pause)

    async def _gpu_is_gone(self) -> bool:
        """Return whether the GPU of this engine is gone."""
        return await gpu_is_gone(self._command.probe, self._command.driver, self._command.env)

    def _loss_cause(self, run: ProcessRun) -> LossCause:
        """Return the cause of a run's end for the event."""
        if not run.answered:
            return LossCause.NO_ANSWER
        return LossCause.RESTARTED if self._restart_reason else LossCause.ENDED

    async def _run_once(self) -> ProcessRun:
        """Run the engine until it ends, and return how it ended. If it cannot be started, it was never ready."""
        try:
            return await self._run_process()
        except OSError as error:
            self._restart_reason = f"it cannot be started: {error}"
            return ProcessRun(answered=False, seconds=0.0, cause=self._restart_reason)

    async def _run_process(self) -> ProcessRun:
        """Start the process, wait until it is ready, and return how it ended."""
        loop = asyncio.get_running_loop()
        started_at, oom_kills_before = loop.time(), oom_kills()
        process = await _start(self._command)
        self._over.clear()
        exit_task = asyncio.create_task(process.wait())
        try:
            is_ready = await self._wait_until_ready(exit_task)
            if is_ready:
                self._process = process
                await self._report_failed_packs()
                log.info("%s is ready at %s", self._command.label, self._command.url)
                self._notify(EngineStarted(self._command.name, loop.time() - started_at))
            elif not exit_task.done():
                self._restart_reason = f"it did not respond within {self._settings.start_s:g} s"
                _signal(process, signal.SIGKILL)
            await self._rotate_log_until(exit_task)
            cause = exit_cause(exit_task.result(), oom_kills_before)
            self._end = EngineEnd(
                f"was stopped: {self._restart_reason}" if self._restart_reason else cause, time.monotonic()
            )
            return ProcessRun(is_ready, loop.time() - started_at, cause)
        finally:
            self._process = self._failed_packs = None
            self._over.set()
            exit_task.cancel()
            await _stop(process)

    async def _rotate_log_until(self, exit_task: asyncio.Task[int]) -> None:
        """Check the log's size regularly until the process has ended."""
        while True:
            ended, _ = await asyncio.wait({exit_task}, timeout=LOG_CHECK_S)
            if ended:
                return
            await asyncio.to_thread(rotate_log, self._command.logs)

    async def _report_failed_packs(self) -> None:
        """Store and log the node packs that failed to import.

        Called once ComfyUI responds. It has then imported all packs, so its log names all that failed.
        """
        self._failed_packs = await asyncio.to_thread(read_failed_packs, self._command.logs)
        for pack in self._failed_packs:
            log.error("%s: %s. %s", self._command.label, pack, pack.cure)

    async def _wait_until_ready(self, exit_task: asyncio.Task[int]) -> bool:
        """Wait until the engine responds, and return True. Return False when it ends first or after `start_s`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_s), aiohttp.ClientSession(timeout=ANSWER) as session:
                while not exit_task.done():
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(self._command.url + "/prompt") as answer:
                            if answer.status == 200:
                                return True
                    await asyncio.wait({exit_task}, timeout=READY_POLL_S)
        return False


async def _start(command: EngineCommand) -> asyncio.subprocess.Process:
    """Start the process of an engine, with its output in the log.

    It has its own session, so that Ctrl-C reaches only the worker, which then stops the engine.
    """
    script = launcher.__file__ if command.sandbox else die_with_parent.__file__
    bound_to_parent = [sys.executable, "-I", "-S", script, str(os.getpid())]
    with command.logs.open("ab") as sink, _policy_file(command.sandbox) as policy:
        sink.write(START)
        sink.flush()
        return await asyncio.create_subprocess_exec(
            *bound_to_parent,
            *command.arguments,
            stdin=policy,
            stdout=sink,
            stderr=sink,
            env={**engine_environment(), **command.env},
            start_new_session=True,
        )


@contextmanager
def _policy_file(sandbox: SandboxPolicy | None) -> Iterator[int]:
    """Yield the stdin of the launcher: a descriptor of the sandbox policy, or DEVNULL without a sandbox.

    The policy is in memory, so that an engine can start even if the disk is full.
    """
    if sandbox is None:
        yield asyncio.subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("sandbox"), "w+b") as policy:
        policy.write(sandbox.as_json())
        policy.seek(0)
        yield policy.fileno()


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Terminate a process and wait until it has ended. Kill it after STOP_S seconds."""
    if process.returncode is not None:
        return
    _signal(process, signal.SIGTERM)
    try:
        async with asyncio.timeout(STOP_S):
            await process.wait()
    except TimeoutError:
        _signal(process, signal.SIGKILL)
        await process.wait()


def _signal(process: asyncio.subprocess.Process, number: signal.Signals) -> None:
    """Send a signal to the process and to everything that it has started."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)
