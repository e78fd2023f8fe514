"""Calls of handlers: from the JSON object with the arguments to a job."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, Self

import orjson

from worker.bodies import ScannedBody, SpoolFolder, parse_json, read_json, spool_file, utf8_text
from worker.bodies.reader import file_chunks
from worker.dialects import RUNPOD
from worker.errors import InvalidJson
from worker.handlers.pool import HandlerPool
from worker.handlers.process import ARGUMENTS
from worker.inputs import SentFile
from worker.intake.intake import Intake
from worker.intake.submission import Caller
from worker.job import Job, JobRequest, OutputMode
from worker.load.call_units import CallUnits, numbers_in
from worker.load.node_work import NO_WORK
from worker.settings import HandlerSettings

LARGEST_IN_MEMORY = 64 * 1024
"""Largest arguments in bytes that are stored with the job."""


@dataclass(frozen=True, slots=True)
class Arguments:
    """The arguments of a call: their names, those that are numbers, and the JSON object, as a file if it is large."""

    names: tuple[str, ...]
    numbers: Mapping[str, float]
    json: bytes | SentFile
    sha256: str

    @classmethod
    def of(cls, value: Mapping[str, Any], json: bytes) -> Self:
        """Return the arguments in an object, which is also given as JSON."""
        whole = json if len(json) <= LARGEST_IN_MEMORY else SentFile(ARGUMENTS, json)
        return cls(tuple(value), numbers_in(value), whole, hashlib.sha256(json).hexdigest())


@dataclass(frozen=True, slots=True)
class CallSubmission:
    """A call that was read and checked: its job, the file of large arguments, and the units that it should have."""

    request: JobRequest
    files: Sequence[SentFile]
    caller: Caller
    units: float


@dataclass(frozen=True, slots=True)
class HandlerCalls:
    """Starts the jobs of calls. The arguments are stored with the job, or as its input file if they are large."""

    pool: HandlerPool
    intake: Intake
    units: CallUnits
    timeout_s: float | None
    """Seconds after which a call ends, None for the limit of all jobs."""

    @classmethod
    def of(cls, pool: HandlerPool | None, intake: Intake, units: CallUnits, settings: HandlerSettings) -> Self | None:
        """Return the calls of a worker, or None if it has no handlers."""
        return None if pool is None else cls(pool, intake, units, settings.timeout_s or None)

    async def submit(self, name: str, chunks: AsyncIterator[bytes], charset: str, caller: Caller) -> Job:
        """Start the job for a call, or return the job that the same request started before.

        Raises UnknownHandler, InvalidArguments, HandlersUnavailable, and the errors of reading a body and of
        `JobManager.accept`.
        """
        handler = (await self.pool.table()).find(name)
        async with self._receive(chunks, charset) as arguments:
            handler.check(arguments.names)
            return await self.accept(self._submission(name, arguments, caller))

    async def read(self, name: str, body: ScannedBody, caller: Caller) -> CallSubmission:
        """Return the call in a JSON body that was received already. Raises the errors of `submit` but the manager's."""
        handler = (await self.pool.table()).find(name)
        await body.restore_texts()
        value = _checked_object(body.value)
        handler.check(value)
        json = orjson.dumps(value)
        return self._submission(name, Arguments.of(value, json), caller)

    async def read_input(self, name: str, body: ScannedBody, caller: Caller) -> CallSubmission:
        """Return the call in the `input` of a body, whose responses have the form of RunPod's dialect."""
        call = await self.read(name, body, caller)
        return replace(call, request=replace(call.request, dialect=RUNPOD.name))

    async def accept(self, call: CallSubmission) -> Job:
        """Start the job of a call, or return the one that the same request started. Raises what the manager does."""
        async with self.intake.files.receive(call.files) as received:
            work, caller = replace(NO_WORK, units=call.units), call.caller
            return await self.intake.manager.accept(
                call.request, work, caller.principal, collectable=caller.collectable, arrived=received
            )

    def _submission(self, name: str, arguments: Arguments, caller: Caller) -> CallSubmission:
        """Return the call with these arguments, which were checked."""
        key, json = caller.idempotency_key, arguments.json
        request = JobRequest(
            prompt={},
            handler=name,
            arguments=json.decode() if isinstance(json, bytes) else "",
            params=arguments.numbers,
            output_mode=OutputMode.NONE,
            raw=True,
            timeout_s=self.timeout_s,
            key=key,
            repeat_key=None if key else caller.repeat_key,
            fingerprint=_sha256(f"{name} {arguments.sha256}".encode()) if key else "",
            base_url=caller.base_url,
            with_status=caller.with_status,
        )
        files = [] if isinstance(json, bytes) else [json]
        return CallSubmission(request, files, caller, self.units.expected(name, arguments.numbers))

    @asynccontextmanager
    async def _receive(self, chunks: AsyncIterator[bytes], charset: str) -> AsyncIterator[Arguments]:
        """Read a JSON object. It exists until the context ends. Raises InvalidJson, BodyTooLarge or DiskFull."""
        head = b""
        async for chunk in chunks:
            head += chunk
            self.intake.limits.check_total(len(head))
            if len(head) > self.intake.limits.text:
                break
        else:
            json = utf8_text(head, charset)
            json = json if json.strip() else b"{}"
            value = _checked_object(parse_json(json))
            yield Arguments.of(value, json)
            return
        async with SpoolFolder(self.intake.spool) as folder:
            file = await spool_file(self._checked(head, chunks), folder)
            body = await read_json(file_chunks(file.path), folder, self.intake.limits, charset)
            value = _checked_object(body.value)
            yield Arguments(tuple(value), numbers_in(value), SentFile(ARGUMENTS, file), file.sha256)

    async def _checked(self, head: bytes, chunks: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        """Yield the beginning and the rest of a body. Raises BodyTooLarge."""
        size = len(head)
        yield head
        async for chunk in chunks:
            size += len(chunk)
            self.intake.limits.check_total(size)
            yield chunk


def _sha256(data: bytes) -> str:
    """Return the hash of data as hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def _checked_object(value: Any) -> dict[str, Any]:  # noqa: ANN401 - JSON
    """Return the arguments in a body. Raises InvalidJson if it is no object."""
    if not isinstance(value, dict):
        raise InvalidJson(f"the body must be a JSON object with the arguments, not {type(value).__name__}")
    return value
