"""One running process of handlers: it runs one call at a time."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from mimetypes import guess_extension
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from worker.engine.process.exit_cause import exit_cause, oom_kills
from worker.errors import HandlerCrashed, HandlerFailed, InternalError, UnsupportedResult
from worker.handlers.app_folder import AppFolder
from worker.handlers.channel import ChannelError, HandlerChannel, Message
from worker.handlers.output_log import OutputLog
from worker.handlers.signature import LoadedApp
from worker.job import Job, Output
from worker.outputs.files import kept_name
from worker.outputs.kinds import kind_of

log = logging.getLogger(__name__)

CANCEL_S = 2.0
"""Seconds within which a cancelled handler has to end. Then its process is killed."""
EXIT_S = 2.0
"""Seconds that a process may take to end after it has closed its socket."""
JSON = "application/json"
ARGUMENTS = "arguments.json"
"""Name of the input file with the large arguments of a call."""


@dataclass(slots=True, eq=False)
class HandlerProcess:
    """A process of handlers, from its start until its end."""

    name: str
    channel: HandlerChannel
    process: asyncio.subprocess.Process
    exit_task: asyncio.Task[int]
    oom_kills_before: int | None
    max_result: int
    job: Job | None = None
    """The call that runs."""
    importing: str = ""
    """The file of the app that it imports, empty when all are imported."""
    killed: bool = False
    """Whether a call ends the process: the worker has killed it, or it has no memory left."""

    @property
    def usable(self) -> bool:
        """Whether the process can run another call."""
        return not (self.killed or self.exit_task.done())

    @property
    def cause_of_end(self) -> str:
        """Why the process has ended, such as "ended with code 1"."""
        return exit_cause(self.exit_task.result(), self.oom_kills_before)

    async def loaded_app(self, timeout_s: float) -> LoadedApp:
        """Wait until the process has imported the app, and return its handlers. Raises HandlerCrashed."""
        try:
            async with asyncio.timeout(timeout_s):
                while (message := await self._receive_or_exit()).header.get("type") == "importing":
                    self.importing = str(message.header["file"])
        except TimeoutError:
            raise HandlerCrashed(f"it did not import the app within {timeout_s:g} s") from None
        self.importing = ""
        try:
            return LoadedApp.model_validate(message.header)
        except ValidationError as error:
            raise HandlerCrashed(f"it did not report its handlers: {error}") from error

    async def call(self, job: Job, folder: Path) -> Output:
        """Run the handler of a job, and return its result as an output in a folder.

        Raises HandlerFailed, HandlerCrashed and UnsupportedResult. When the caller is cancelled, the handler is
        interrupted, and its process is killed if the handler does not end.
        """
        exchange = asyncio.create_task(self._exchange(job, folder))
        self.job = job
        try:
            await asyncio.wait({exchange, self.exit_task}, return_when=asyncio.FIRST_COMPLETED)
            if not exchange.done():
                raise HandlerCrashed(f"the process of the handler {self.cause_of_end}")
            return exchange.result()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGUSR1)
            await asyncio.wait({exchange, self.exit_task}, timeout=CANCEL_S, return_when=asyncio.FIRST_COMPLETED)
            raise
        finally:
            if not exchange.done():
                self.kill()
                exchange.cancel()
            await asyncio.wait({exchange})
            if not exchange.cancelled():
                exchange.exception()  # retrieved so that asyncio does not log it
            self.job = None

    def kill(self) -> None:
        """Kill the process and everything that it has started."""
        self.killed = True
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)

    async def _exchange(self, job: Job, folder: Path) -> Output:
        """Send a call, and receive its answer."""
        try:
            header = {"name": job.request.handler, "call": job.id}
            if job.request.arguments:
                await self.channel.send(header, job.request.arguments.encode())
            else:
                arguments = next(file for file in job.request.inputs if file.name == ARGUMENTS)
                await self.channel.send_file(header, arguments.path, arguments.size)
            message = await self.channel.receive()
            if message.header.get("call") != job.id:
                raise ChannelError("the answer of another call")
            self.killed = self.killed or bool(message.header.get("ends"))
            raise_failure(job, message.header)
            return await self._store_result(message, folder)
        except (EOFError, ConnectionError):
            cause = await self._cause_after_close()
            self.kill()
            raise HandlerCrashed(f"the process of the handler {cause}") from None
        except ChannelError as error:
            self.kill()
            raise InternalError(f"the process of the handler sent {error}") from error

    async def _store_result(self, message: Message, folder: Path) -> Output:
        """Write a result to a file, and return it as an output."""
        if message.size > self.max_result:
            raise ChannelError(f"a result of {message.size:,} bytes")
        mime = str(message.header["media_type"])
        filename = f"result{guess_extension(mime) or '.bin'}"
        kind = "json" if mime == JSON else kind_of(filename)
        await self.channel.receive_body(message.size, folder / kept_name(0, filename))
        return Output(0, "", kind, filename, mime=mime, size=message.size)

    async def _receive_or_exit(self) -> Message:
        """Return the next message. Raises HandlerCrashed if the process ends before."""
        receive = asyncio.create_task(self.channel.receive())
        try:
            await asyncio.wait({receive, self.exit_task}, return_when=asyncio.FIRST_COMPLETED)
            if receive.done():
                return receive.result()
            raise HandlerCrashed(f"it {self.cause_of_end}")
        except (EOFError, ConnectionError):
            raise HandlerCrashed(f"it {await self._cause_after_close()}") from None
        finally:
            receive.cancel()

    async def _cause_after_close(self) -> str:
        """Return why the process has ended, or that it has only closed its socket."""
        await asyncio.wait({self.exit_task}, timeout=EXIT_S)
        return self.cause_of_end if self.exit_task.done() else "has closed its connection to the worker"


def raise_failure(job: Job, header: Mapping[str, Any]) -> None:
    """Raise the error of a call that did not return a result."""
    if header["type"] == "unsupported":
        raise UnsupportedResult(str(header["message"]))
    if header["type"] == "failed":
        kind, place = str(header["message"]).partition(":")[0], header["frame"] or "an unknown place"
        log.error("handler %s failed in job %s: %s at %s", job.request.handler, job.id, kind, place)
        raise HandlerFailed(f"the handler failed: {header['message']}")
    if header["type"] == "cancelled":  # nothing waits for it any more
        raise HandlerFailed("the handler was cancelled")


@asynccontextmanager
async def handler_process(
    app: AppFolder, name: str, port: int, broken: Mapping[str, str]
) -> AsyncIterator[HandlerProcess]:
    """Start a process of an app, and kill it at the end. Raises OSError.

    `port` is that of ComfyUI's API. `broken` are files that are not imported, and why.
    """
    own_end, other_end = socket.socketpair()
    with other_end:
        kills = oom_kills()
        process = await asyncio.create_subprocess_exec(
            *app.command(other_end.fileno(), port, broken),
            pass_fds=[other_end.fileno()],
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            cwd=app.path,
            env=app.environment,
            start_new_session=True,
        )
    channel = await HandlerChannel.open(own_end)
    exit_task = asyncio.create_task(process.wait())
    output = asyncio.create_task(OutputLog(name).follow(process.stdout)) if process.stdout else None
    try:
        yield HandlerProcess(name, channel, process, exit_task, kills, app.max_result)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        channel.close()
        await asyncio.wait({exit_task})
        if output is not None:
            await asyncio.wait({output}, timeout=EXIT_S)
            output.cancel()
