"""Keeps one engine's process running: starts it, waits until it answers, starts it again when it ended."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
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
from worker.engine.process.failed_packs import START, FailedPack, read_failed_packs
from worker.engine.process.gpu import DRIVER, gpu_is_gone
from worker.engine.process.names import FIRST
from worker.engine.process.sandbox import launcher
from worker.engine.process.sandbox.policy import SandboxPolicy
from worker.errors import WorkerFailed
from worker.events import EngineLost, EngineStarted, LossCause, Notify, ignore_event
from worker.settings import ComfySettings, engine_environment

log = logging.getLogger(__name__)

RESTART = Backoff(0.5, 10.0)
STEADY_S = 60.0
"""An engine that lived this long starts its back-off anew."""
STOP_S = 5.0
ASK_S = 0.1
"""How often a starting engine is asked whether it answers."""
ANSWER = aiohttp.ClientTimeout(total=10)
LOOK_AT_LOG_S = 30.0
END_S = 2.0
"""How long a process that no longer listens may take to end."""
LOG_LIMIT = 16 * 1024 * 1024
TAIL = 2000


@dataclass(frozen=True, slots=True)
class EngineCommand:
    """How one engine is started, where it answers then, and how its GPU is probed (empty: it has none).

    `env` comes on top of what an engine may see of the worker's own environment. `driver` asks NVIDIA's driver for
    its GPU. One GPU has one engine: more of them are more of these, each with a name, a port, folders and a log of
    its own. `sandbox` is what the engine may reach; None: all that the worker can.
    """

    arguments: Sequence[str]
    url: str
    logs: Path
    probe: Sequence[str] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    driver: Sequence[str] = DRIVER
    name: str = FIRST
    sandbox: SandboxPolicy | None = None

    @property
    def label(self) -> str:
        """The engine in a sentence of the log."""
        return "the engine" if self.name == FIRST else self.name


@dataclass(frozen=True, slots=True)
class ProcessRun:
    """From a start to its end. `cause` says why it ended, in words that follow the engine's name."""

    answered: bool
    seconds: float
    cause: str


class Supervisor:
    """Starts the engine of one command, and again each time that it has ended."""

    def __init__(self, command: EngineCommand, settings: ComfySettings, notify: Notify = ignore_event) -> None:
        self._command = command
        self._notify = notify
        self._settings = settings
        self._process: asyncio.subprocess.Process | None = None
        self._why = ""
        self._check_gpu = False
        self._healthy = False
        self._end: EngineEnd | None = None
        """Of the last life that ended."""
        self._over = asyncio.Event()
        """Set while no engine runs."""
        self._failed_packs: tuple[FailedPack, ...] | None = None
        """Of this life of the engine; None until it answers."""

    @property
    def url(self) -> str:
        """Where the engine answers, in all its lives."""
        return self._command.url

    @property
    def failed_packs(self) -> tuple[FailedPack, ...]:
        """Node packs that the engine could not import at its last start."""
        if self._failed_packs is None:  # clients may reach it a moment before it is seen to answer
            return read_failed_packs(self._command.logs)
        return self._failed_packs

    async def end_since(self, began: float) -> EngineEnd | None:
        """Return how the engine ended after a time of the monotonic clock; None where it does not end soon."""
        if self._end is None or self._end.at < began:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), END_S)
        return self._end if self._end is not None and self._end.at >= began else None

    def restart(self, why: str, *, check_gpu: bool = False, healthy: bool = False) -> None:
        """End the engine at once, whatever it does, so that it is started anew; no effect on one that is starting.

        `healthy`: it works, and only what runs in it has to end. This makes no later pause longer.
        """
        if self._process is not None:
            log.error("restarting %s: %s", self._command.label, why)
            self._why, self._check_gpu, self._healthy = why, check_gpu, healthy
            _signal(self._process, signal.SIGKILL)
            self._process = None

    async def keep(self) -> None:
        """Keep the engine running; stop it when cancelled. Raises WorkerFailed once it cannot be started any more."""
        quick, unanswered = 0, 0
        while True:
            life = await self._lived()
            self._notify(EngineLost(self._command.name, self._cause(life)))
            unanswered = 0 if life.answered else unanswered + 1
            quick = 0 if life.seconds > STEADY_S or self._healthy else quick + 1
            why = self._why or f"it {life.cause}"
            if unanswered >= self._settings.tries:
                tries = f" in {unanswered} tries" if unanswered > 1 else ""
                raise WorkerFailed(f"ComfyUI did not start{tries}: {why}; it said last: {self._said()}")
            if self._check_gpu and await self._gpu_is_gone():
                raise WorkerFailed(f"the GPU is gone: {why}")
            self._why, self._check_gpu, self._healthy = "", False, False
            pause, where = RESTART.pause(quick), self._command.logs
            log.error("%s has to start again in %.1f s: %s (its log: %s)", self._command.label, pause, why, where)
            await asyncio.sleep(pause)

    async def _gpu_is_gone(self) -> bool:
        return await gpu_is_gone(self._command.probe, self._command.driver, self._command.env)

    def _cause(self, life: ProcessRun) -> LossCause:
        if not life.answered:
            return LossCause.NO_ANSWER
        return LossCause.RESTARTED if self._why else LossCause.ENDED

    async def _lived(self) -> ProcessRun:
        """Run the engine once. A start that the system refuses (no descriptor, no log) is a try without an answer."""
        try:
            return await self._live()
        except OSError as error:
            self._why = f"it can't be started: {error}"
            return ProcessRun(answered=False, seconds=0.0, cause=self._why)

    async def _live(self) -> ProcessRun:
        loop = asyncio.get_running_loop()
        began, kills = loop.time(), oom_kills()
        process = await _start(self._command)
        self._over.clear()
        ended = asyncio.create_task(process.wait())
        try:
            answered = await self._answers(ended)
            if answered:
                self._process = process
                await self._look_at_packs()
                log.info("%s answers on %s", self._command.label, self._command.url)
                self._notify(EngineStarted(self._command.name, loop.time() - began))
            elif not ended.done():
                self._why = f"it did not answer within {self._settings.start_s:g} s"
                _signal(process, signal.SIGKILL)
            while not (await asyncio.wait({ended}, timeout=LOOK_AT_LOG_S))[0]:
                await asyncio.to_thread(rotate_log, self._command.logs)
            cause = exit_cause(ended.result(), kills)
            self._end = EngineEnd(f"was stopped: {self._why}" if self._why else cause, time.monotonic())
            return ProcessRun(answered, loop.time() - began, cause)
        finally:
            self._process = self._failed_packs = None
            self._over.set()
            ended.cancel()
            await _stop(process)

    async def _look_at_packs(self) -> None:
        """ComfyUI answers once it has imported its packs, so what failed stands in its log by now."""
        self._failed_packs = await asyncio.to_thread(read_failed_packs, self._command.logs)
        for pack in self._failed_packs:
            log.error("%s: %s. %s", self._command.label, pack, pack.cure)

    async def _answers(self, ended: asyncio.Task[int]) -> bool:
        """False when the time is over, or the process."""
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.start_s), aiohttp.ClientSession(timeout=ANSWER) as session:
                while not ended.done():
                    with suppress(aiohttp.ClientError, TimeoutError):
                        async with session.get(self._command.url + "/prompt") as answer:
                            if answer.status == 200:
                                return True
                    await asyncio.wait({ended}, timeout=ASK_S)
        return False

    def _said(self) -> str:
        try:
            with self._command.logs.open("rb") as file:
                file.seek(max(0, self._command.logs.stat().st_size - TAIL))
                lines = file.read().rpartition(START)[2].decode(errors="replace").split("\n")
        except OSError:
            return "nothing"
        return next((line.strip() for line in reversed(lines) if line.strip()), "nothing")


async def _start(command: EngineCommand) -> asyncio.subprocess.Process:
    """In a session of its own: Ctrl-C is for the worker, which then stops the engine in order."""
    script = launcher.__file__ if command.sandbox else die_with_parent.__file__
    bound_to_parent = [sys.executable, "-I", "-S", script, str(os.getpid())]
    with command.logs.open("ab") as sink, _given(command.sandbox) as policy:
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
def _given(sandbox: SandboxPolicy | None) -> Iterator[int]:
    """Yield a descriptor with the policy for the launcher: of memory, as a full disk must not keep an engine away."""
    if sandbox is None:
        yield asyncio.subprocess.DEVNULL
        return
    with os.fdopen(os.memfd_create("sandbox"), "w+b") as policy:
        policy.write(sandbox.as_json())
        policy.seek(0)
        yield policy.fileno()


async def _stop(process: asyncio.subprocess.Process) -> None:
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
    """To everything that the engine has started, too."""
    if process.returncode is None:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, number)


def rotate_log(logs: Path) -> None:
    """Move a log that has grown large aside; its writer goes on with an empty file, as it only ever appends."""
    with suppress(OSError):
        if logs.stat().st_size > LOG_LIMIT:
            shutil.copyfile(logs, logs.with_suffix(".log.1"))
            os.truncate(logs, 0)
