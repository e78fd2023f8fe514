"""The steps from a request to a job, for every platform."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
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
from worker.inputs.content.sizes import has_data, has_long_texts, sizes_in_request
from worker.inputs.form_files import with_filenames
from worker.inputs.unused import unused_files
from worker.intake.body_forms import normalize_body
from worker.intake.fingerprints import Fingerprints, fingerprints
from worker.intake.job_responses import JobResponses
from worker.intake.output_references import OutputResolver, may_reference_outputs, with_output_references
from worker.intake.response_body import ResponseBody
from worker.intake.submission import Caller, Submission
from worker.intake.workflow_files import replace_data_uris, with_files
from worker.job import Job, JobRequest, OutputMode
from worker.jobs.manager import JobManager
from worker.load.features.content_size import Size
from worker.load.node_work import NO_WORK, JobWork
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
class Intake:
    """Accepts requests from any platform and builds the responses."""

    spool: Path
    """Folder for long strings of bodies until their request has ended."""
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
        """Yield a JSON body that was sent in any form. Its files exist until the context ends.

        Raises InvalidJson, InvalidField, BodyTooLarge or DiskFull.
        """
        async with open_json(chunks, self.spool, self.limits, charset) as body:
            await normalize_body(body)
            yield body

    async def submit(
        self, body: ScannedBody, caller: Caller, files: Sequence[SentFile] = (), dialect: Dialect | None = None
    ) -> Job:
        """Start the job for a body, or return the job that the same request started before.

        `files` were sent beside the body. Raises the errors of `read` and `accept`.
        """
        return await self.accept(await self.read(body, caller, files, dialect))

    async def read(
        self, body: ScannedBody, caller: Caller, files: Sequence[SentFile] = (), dialect: Dialect | None = None
    ) -> Submission:
        """Return the request in a body, by default in the dialect of its keys. Raises ClientError or a subclass."""
        dialect = dialect or dialect_of(body.value)
        # A body with long strings gets its fingerprints now, because placeholders replace these strings.
        request_fingerprints = await self._fingerprints(body, files) if body.spooled else None
        long_texts = await replace_data_uris(body, dialect) if body.spooled else None
        parsed = await run_off_loop_if_large(body.value, lambda: dialect.read(body.value, self.library))
        converted = self.with_output_mode(await self._with_prompt(parsed.job))
        job = await run_off_loop_if_large(converted.prompt, lambda: with_output_references(converted))
        workflow_files: tuple[SentFile, ...] = ()
        if long_texts:
            prompt, workflow_files = await with_files(prompt_of(job.prompt), long_texts, await self.catalog())
            job = replace(job, prompt=dict(prompt))
        taken_names = {*job.urls, *(file.name for file in parsed.files)}
        key = job.key or caller.idempotency_key
        if not key:
            request_fingerprints = None  # only a request with a key is compared with earlier ones
        elif request_fingerprints is None:
            request_fingerprints = await self._fingerprints(body, files)
        files = await self.with_form_names(files, taken_names, job.prompt)
        job = replace(
            job,
            dialect=dialect.name,
            key=key,
            repeat_key=None if key else caller.repeat_key,
            fingerprint=request_fingerprints.newest if request_fingerprints else "",
            former_fingerprints=request_fingerprints.earlier_releases if request_fingerprints else (),
            base_url=caller.base_url,
            extra=_with_key(job.extra, caller.api_key),
            raw=caller.raw,
            strict=job.strict or caller.strict,
            follows=caller.follows,
            parent=caller.parent,
            with_status=caller.with_status,
        )
        sent_files = tuple([await _decoded(file) for file in (*parsed.files, *workflow_files, *files)])
        return Submission(job, sent_files, caller, await self._sizes(job, sent_files))

    async def _fingerprints(self, body: ScannedBody, files: Sequence[SentFile]) -> Fingerprints:
        """Return the fingerprints of a request."""
        return await fingerprints(body, files, first_release=self.manager.has_first_release_job)

    async def with_form_names(
        self, files: Sequence[SentFile], taken_names: Collection[str], prompt: Prompt
    ) -> Sequence[SentFile]:
        """Return the files of a form under the names that the prompt uses.

        `taken_names` are the names of the other input files of the request. Raises InvalidInputFile.
        """
        if not any(file.aliases for file in files):
            return files
        return with_filenames(files, taken_names, prompt, await self.catalog())

    async def accept(self, submission: Submission) -> Job:
        """Start the job of a request, or return the job that the same request started under the same id.

        Raises InvalidInputFile, and the errors of `JobManager.accept`, `OutputResolver.resolve` and `Preflight.admit`.
        """
        request, caller = submission.request, submission.caller
        if not self.manager.would_start(request, caller.principal):
            # The job exists already, so nothing is checked, and no workload is reserved.
            job = await self.manager.accept(request, NO_WORK, caller.principal, collectable=caller.collectable)
            job.request = job.request.merged_with(request)  # for example, if only this request follows the events
            return job
        self.manager.admit(caller.principal, caller.parent)
        request, earlier_outputs = await self._with_earlier_outputs(request, caller.principal)
        # Before the check, so that exactly the prompt that is checked runs, also if the job has to run again.
        request = await self._repaired(request, submission.file_names | {file.name for file in earlier_outputs})
        files = *submission.files, *earlier_outputs
        sizes = await self._sizes(request, files) if earlier_outputs else submission.sizes
        async with self._admit(request, sizes) as work, self._receive_files(files) as received_files:
            return await self.manager.accept(
                request, work, caller.principal, collectable=caller.collectable, arrived=received_files
            )

    async def response(self, job: Job, base_url: str | None = None) -> tuple[int, ResponseBody]:
        """Return HTTP status and body for a job, in the dialect of its request.

        The status is 202 until the job has ended. `base_url` is the URL at which the client of this response reaches
        the worker. By default it is that of the request that started the job.
        """
        return await self.responses.of(job, job.request.base_url if base_url is None else base_url)

    def with_output_mode(self, job: JobRequest) -> JobRequest:
        """Return the job with an output mode that its client can use.

        Raises UrlNeedsStorage, TargetNotAllowed or UrlRefused.
        """
        if job.target is not None or job.webhook is not None:
            self.delivery.check(job)
        has_bucket = self.delivery.storage.external
        if job.output_mode is OutputMode.NONE and has_bucket:
            return replace(job, output_mode=OutputMode.URL)  # as the stock template does if a bucket is configured
        if job.output_mode is OutputMode.AUTO:
            return replace(job, output_mode=OutputMode.URL if has_bucket else OutputMode.BASE64)
        can_open_urls = has_bucket or self.traits.output_urls
        if job.output_mode is OutputMode.URL and job.target is None and not can_open_urls:
            raise UrlNeedsStorage(
                "clients cannot open the URLs of this worker, and it has no bucket (WORKER_S3_BUCKET): request base64"
            )
        return job

    async def convert(self, workflow: object) -> Conversion:
        """Convert a file of the editor to a prompt, in a thread. Raises CannotConvert."""
        try:
            return await asyncio.to_thread(convert, workflow, await self.catalog())
        except CannotConvert as error:
            raise await self.preflight.explain_missing_classes(error, workflow) from None

    async def workload(self, submission: Submission) -> float:
        """Return the workload units of a request, computed with the last known catalog of the engine."""
        prompt, catalog = submission.request.prompt, self.engines.known_catalog
        return await run_off_loop_if_large(prompt, lambda: workload(prompt, catalog, submission.sizes))

    def workload_of(self, body: Mapping[str, Any]) -> float:
        """Return the workload units of a small body in any dialect. An invalid body has the minimum."""
        try:
            request = detect(body).read(body, self.library).job
            if is_ui(request.prompt):
                catalog = self.engines.known_catalog or bundled_catalog()
                request = replace(request, prompt=dict(convert(request.prompt, catalog).prompt))
            return workload(request.prompt, self.engines.known_catalog)
        except WorkerError:
            return FLOOR

    async def _sizes(self, request: JobRequest, files: Sequence[SentFile]) -> Mapping[str, Size]:
        """Return the sizes of the pictures and videos in a request, by the texts in its prompt that name them."""
        prompt = request.prompt
        if not files and not has_long_texts(prompt):
            return {}
        catalog = await self.catalog()
        if not files and not await run_off_loop_if_large(prompt, lambda: has_data(prompt, catalog)):
            return {}
        return await asyncio.to_thread(sizes_in_request, request, files, catalog)

    async def _repaired(self, request: JobRequest, file_names: frozenset[str]) -> JobRequest:
        """Return the request with a repaired prompt and random seeds. `file_names` are those of its input files."""
        catalog, rng = await self.catalog(), SystemRandom()
        return await run_off_loop_if_large(
            (request.prompt, sorted(file_names)), lambda: _prepare(request, catalog, file_names, rng)
        )

    async def _with_earlier_outputs(
        self, request: JobRequest, principal: str
    ) -> tuple[JobRequest, tuple[SentFile, ...]]:
        """Return the request with file names in place of references to outputs of earlier jobs, and these files."""
        if not await run_off_loop_if_large(request.prompt, lambda: may_reference_outputs(request)):
            return request, ()
        return await OutputResolver(self.manager, self.delivery.outputs).resolve(
            request, principal, await self.catalog()
        )

    def _admit(self, request: JobRequest, sizes: Mapping[str, Size]) -> AbstractAsyncContextManager[JobWork]:
        """Return a context that checks the prompt and yields its work."""
        return self.preflight.admit(request.prompt, request.extra.editor_workflow, sizes, strict=request.strict)

    def _receive_files(self, files: Sequence[SentFile]) -> AbstractAsyncContextManager[ReceivedFiles | None]:
        """Return a context that stores the files of the request, and yields them, or None if there are none.

        Files that no job has taken by then are removed when the context ends.
        """
        return self.files.receive(files) if files else nullcontext()

    async def _with_prompt(self, job: JobRequest) -> JobRequest:
        """Return the job with its workflow converted to API format. Raises CannotConvert or InvalidWorkflow."""
        if not is_ui(job.prompt):
            return job
        conversion = await self.convert(job.prompt)
        prompt = dict(prompt_of(conversion.prompt))
        return replace(job, prompt=prompt, warnings=(*job.warnings, *conversion.warnings), seed_fields=conversion.seeds)

    async def catalog(self) -> Catalog:
        """Return the engine's catalog, or the bundled one while the engine cannot be reached."""
        try:
            return await self.engines.catalog()
        except EngineUnavailable:
            return bundled_catalog()


def _prepare(request: JobRequest, catalog: Catalog, file_names: frozenset[str], rng: SystemRandom) -> JobRequest:
    """Return the request with a repaired prompt, random seeds, and warnings about files that no node uses."""
    request = prepare_request(request, catalog, file_names, rng)
    unused = unused_files(file_names, request.prompt, catalog) if file_names else ()
    return replace(request, warnings=(*request.warnings, *unused))


async def _decoded(file: SentFile) -> SentFile:
    """Return a file with its content decoded. Raises InvalidInputFile and DiskFull."""
    return replace(file, content=await file.decoded())


def _with_key(extra: ExtraData, api_key: SecretStr | None) -> ExtraData:
    """Return the extra data with the comfy.org key of the headers, unless the body has a key itself."""
    return replace(extra, api_key=api_key, own_api_key=True) if api_key and not extra.own_api_key else extra


def dialect_of(body: object) -> Dialect:
    """Return the dialect of a JSON body. Raises InvalidJson if it is not an object."""
    if isinstance(body, dict):
        return detect(body)
    type_name = "str" if isinstance(body, SpooledText) else type(body).__name__  # a SpooledText is a long string
    raise InvalidJson(f"the body must be a JSON object, not {type_name}")
