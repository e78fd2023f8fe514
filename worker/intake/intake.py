"""From a request to a job: this is the whole story, whoever received the request and however."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import SystemRandom
from typing import Any

from pydantic import SecretStr

from worker.bodies import BodyLimits, ScannedBody, SpooledText, open_json
from worker.dialects import Dialect, detect
from worker.dialects.base import prompt_of
from worker.engine.pool import EnginePool
from worker.errors import CannotConvert, EngineUnavailable, InvalidJson, UrlNeedsStorage, WorkerError
from worker.extra_data import ExtraData
from worker.inputs import InputStore, ReceivedFiles, SentFile
from worker.inputs.form_files import with_filenames
from worker.inputs.unused import unused_files
from worker.intake.body_forms import normalize_body
from worker.intake.fingerprints import Fingerprints, fingerprints
from worker.intake.job_responses import JobResponses
from worker.intake.output_references import OutputResolver, may_reference_outputs, with_output_references
from worker.intake.response_body import ResponseBody
from worker.intake.workflow_files import replace_data_uris, with_files
from worker.job import Job, JobRequest, OutputMode
from worker.jobs.manager import JobManager
from worker.load.workload import FLOOR, workload
from worker.outputs.delivery import Delivery
from worker.platforms.base import Traits
from worker.preflight import Preflight
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.editor import Conversion, convert, is_ui
from worker.workflow.prompt import Prompt
from worker.workflow.repairs import prepare_request
from worker.workflow.templates.template import Library
from worker.workflow.walk import run_off_loop_if_large

SPOOL = "bodies"
"""Folder in the state folder for the long strings of bodies that are being read."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, and how. The jobs of a request belong to its `principal`.

    `base_url` is where the caller reaches this worker. `idempotency_key` is its own name for the request, and
    `repeat_key` the platform's, which the caller does not know. `collectable`: it is about to get id and token.
    `api_key` is its comfy.org key, where that came beside the body.
    `raw`: it takes a file as the body of the answer. `follows`: it gets the job's events as they happen.
    `strict`: it wants what it sent to run, or to be refused.
    """

    principal: str
    base_url: str = ""
    idempotency_key: str | None = None
    repeat_key: str | None = None
    collectable: bool = False
    api_key: SecretStr | None = field(default=None, repr=False)
    raw: bool = False
    follows: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True)
class Submission:
    """A request that was read and can run, as far as that can be said without asking anybody."""

    request: JobRequest
    files: tuple[SentFile, ...]
    caller: Caller

    @property
    def own(self) -> frozenset[str]:
        """Names of the request's files."""
        return frozenset(self.request.urls) | {file.name for file in self.files}


@dataclass(frozen=True, slots=True)
class Intake:
    """Takes requests from any platform and answers them."""

    spool: Path
    """Folder of the long strings of bodies until their request is over."""
    limits: BodyLimits
    traits: Traits
    manager: JobManager
    engines: EnginePool
    delivery: Delivery
    library: Library
    preflight: Preflight
    files: InputStore
    responses: JobResponses

    @asynccontextmanager
    async def body(self, chunks: AsyncIterator[bytes], charset: str = "") -> AsyncIterator[ScannedBody]:
        """Read a JSON body in any form; its files are there until the context ends.

        Raises InvalidJson, InvalidField, BodyTooLarge, DiskFull.
        """
        async with open_json(chunks, self.spool, self.limits, charset) as body:
            await normalize_body(body)
            yield body

    async def submit(self, body: ScannedBody, caller: Caller, files: Sequence[SentFile] = ()) -> Job:
        """Start the job that a body asks for, or find the one that it started before. `files` came beside the body.

        Raises WorkerError and its children: what `read` and `accept` raise.
        """
        return await self.accept(await self.read(body, caller, files))

    async def read(self, body: ScannedBody, caller: Caller, files: Sequence[SentFile] = ()) -> Submission:
        """Read a request without starting anything. Raises ClientError and its children."""
        dialect = dialect_of(body.value)
        # Long strings are hashed where they stand, before anything takes their place.
        prints = await self._fingerprints(body, files) if body.spooled else None
        long_texts = await replace_data_uris(body, dialect) if body.spooled else None
        parsed = await run_off_loop_if_large(body.value, lambda: dialect.read(body.value, self.library))
        converted = self.reachable(await self._converted(parsed.job))
        job = await run_off_loop_if_large(converted.prompt, lambda: with_output_references(converted))
        in_place: tuple[SentFile, ...] = ()
        if long_texts:
            prompt, in_place = await with_files(prompt_of(job.prompt), long_texts, await self.catalog())
            job = replace(job, prompt=dict(prompt))
        others = {*job.urls, *(file.name for file in parsed.files)}
        key = job.key or caller.idempotency_key
        if key and prints is None:
            prints = await self._fingerprints(body, files)
        files = await self.named(files, others, job.prompt)
        job = replace(
            job,
            dialect=dialect.name,
            key=key,
            repeat_key=None if key else caller.repeat_key,
            fingerprint=prints.newest if key and prints else "",
            former_fingerprints=prints.former if key and prints else (),
            base_url=caller.base_url,
            extra=_with_key(job.extra, caller.api_key),
            raw=caller.raw,
            strict=job.strict or caller.strict,
            follows=caller.follows,
        )
        return Submission(job, (*parsed.files, *in_place, *files), caller)

    async def _fingerprints(self, body: ScannedBody, files: Sequence[SentFile]) -> Fingerprints:
        return await fingerprints(body, files, first_release=self.manager.of_first_release)

    async def named(self, files: Sequence[SentFile], others: Collection[str], prompt: Prompt) -> Sequence[SentFile]:
        """Return the files of a form by the names that the prompt has for them. Raises InvalidInputFile."""
        if not any(file.other_names for file in files):
            return files
        return with_filenames(files, others, prompt, await self.catalog())

    async def accept(self, submission: Submission) -> Job:
        """Start the job of a request, or find the one that the same request started under the same id.

        Raises what `JobManager.accept`, `OutputResolver.resolve` and `Preflight.admitted` raise, and InvalidInputFile.
        """
        request, caller = submission.request, submission.caller
        if not self.manager.would_start(request, caller.principal):
            job = await self.manager.accept(request, 0.0, caller.principal, collectable=caller.collectable)
            job.request = job.request.merged_with(request)
            return job
        self.manager.admit()
        request, kept = await self._with_outputs(request, caller.principal)
        # Before it is checked, so that what was checked is what runs, and a second try is the same job.
        request = await self._ready(request, submission.own | {file.name for file in kept})
        files = *submission.files, *kept
        async with self._admitted(request) as units, self._arriving(files) as arrived:
            return await self.manager.accept(
                request, units, caller.principal, collectable=caller.collectable, arrived=arrived
            )

    async def response(self, job: Job, base_url: str | None = None) -> tuple[int, ResponseBody]:
        """Return HTTP status and body for a job, in the dialect it was asked in: 202 while it has not ended."""
        return await self.responses.of(job, job.request.base_url if base_url is None else base_url)

    def reachable(self, job: JobRequest) -> JobRequest:
        """Return the job with its outputs in a place where the client can have them.

        Raises UrlNeedsStorage, TargetNotAllowed, UrlRefused.
        """
        if job.target is not None or job.webhook is not None:
            self.delivery.check(job)
        outside = self.delivery.storage.external
        if job.output_mode is OutputMode.NONE and outside:
            return replace(job, output_mode=OutputMode.URL)  # as the stock template does where a bucket is configured
        if job.output_mode is OutputMode.AUTO:
            return replace(job, output_mode=OutputMode.URL if outside else OutputMode.BASE64)
        opens = outside or self.traits.output_urls
        if job.output_mode is OutputMode.URL and job.target is None and not opens:
            raise UrlNeedsStorage(
                "no client can open this worker's URLs, and it has no bucket (WORKER_S3_BUCKET); ask for base64"
            )
        return job

    async def convert(self, workflow: object) -> Conversion:
        """Convert what the editor saves, in a thread: a large workflow takes longer than others should wait.

        Raises CannotConvert.
        """
        try:
            return await asyncio.to_thread(convert, workflow, await self.catalog())
        except CannotConvert as error:
            raise await self.preflight.explain_missing_classes(error, workflow) from None

    def workload(self, request: JobRequest) -> float:
        """Units of a request, by the catalog that is known."""
        return workload(request.prompt, self.engines.known_catalog)

    def workload_of(self, body: Mapping[str, Any]) -> float:
        """Units of a small body in any dialect; one that can't be read counts as the least."""
        try:
            request = detect(body).read(body, self.library).job
            if is_ui(request.prompt):
                catalog = self.engines.known_catalog or bundled_catalog()
                request = replace(request, prompt=dict(convert(request.prompt, catalog).prompt))
            return self.workload(request)
        except WorkerError:
            return FLOOR

    async def _ready(self, request: JobRequest, own: frozenset[str]) -> JobRequest:
        catalog, rng = await self.catalog(), SystemRandom()
        return await run_off_loop_if_large(
            (request.prompt, sorted(own)), lambda: _made_ready(request, catalog, own, rng)
        )

    async def _with_outputs(self, request: JobRequest, principal: str) -> tuple[JobRequest, tuple[SentFile, ...]]:
        """Return the request with the outputs of earlier jobs that it names, as files of its own."""
        if not await run_off_loop_if_large(request.prompt, lambda: may_reference_outputs(request)):
            return request, ()
        return await OutputResolver(self.manager, self.delivery.outputs).resolve(
            request, principal, await self.catalog()
        )

    def _admitted(self, request: JobRequest) -> AbstractAsyncContextManager[float]:
        return self.preflight.admit(request.prompt, request.extra.editor_workflow, strict=request.strict)

    def _arriving(self, files: Sequence[SentFile]) -> AbstractAsyncContextManager[ReceivedFiles | None]:
        return self.files.receive(files) if files else nullcontext()

    async def _converted(self, job: JobRequest) -> JobRequest:
        """Return the job with a prompt that can run. Raises CannotConvert, InvalidWorkflow."""
        if not is_ui(job.prompt):
            return job
        conversion = await self.convert(job.prompt)
        prompt = dict(prompt_of(conversion.prompt))
        return replace(job, prompt=prompt, warnings=(*job.warnings, *conversion.warnings), seed_fields=conversion.seeds)

    async def catalog(self) -> Catalog:
        """Return the engine's, or the bundled one while that can't be had."""
        try:
            return await self.engines.catalog()
        except EngineUnavailable:
            return bundled_catalog()


def _made_ready(request: JobRequest, catalog: Catalog, own: frozenset[str], rng: SystemRandom) -> JobRequest:
    request = prepare_request(request, catalog, own, rng)
    unused = unused_files(own, request.prompt, catalog) if own else ()
    return replace(request, warnings=(*request.warnings, *unused))


def _with_key(extra: ExtraData, api_key: SecretStr | None) -> ExtraData:
    """Add the key that came beside the body, unless the body has one."""
    return replace(extra, api_key=api_key, own_api_key=True) if api_key and not extra.own_api_key else extra


def dialect_of(body: object) -> Dialect:
    """Return the dialect of a JSON body. Raises InvalidJson for anything but an object."""
    if isinstance(body, dict):
        return detect(body)
    kind = "str" if isinstance(body, SpooledText) else type(body).__name__
    raise InvalidJson(f"the body has to be a JSON object, not {kind}")
