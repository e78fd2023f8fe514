"""Delivery of a job's outputs: in the requested image format, to the requested storage."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace

from worker.delivery_options import DeliveryTarget
from worker.errors import DeliveryFailed, OutputTooLargeForInline
from worker.events import DeliveryMethod
from worker.fetch.guard import Guard
from worker.fetch.policy import Policy
from worker.fetch.target import read_target
from worker.job import Job, JobRequest, Output, OutputMode, sorted_by_node
from worker.outputs.files import Outputs
from worker.platforms.base import Traits
from worker.settings import Settings
from worker.storage.allowed import storage_policy
from worker.storage.base import Storage
from worker.storage.kind import StorageProvider
from worker.storage.local import LocalStorage
from worker.storage.registry import KINDS

MIB = 1024 * 1024
METHODS: Mapping[type[DeliveryTarget], DeliveryMethod] = {kind.target_type: kind.method for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Delivery:
    """Delivers the outputs of jobs.

    `storage` is the operator's storage for outputs requested by URL. `providers` open the storage of clients, by the
    type of the target in the request.
    """

    outputs: Outputs
    storage: Storage
    providers: Mapping[type[DeliveryTarget], StorageProvider]
    webhooks: Policy
    """Rules for the URLs of webhooks."""
    inline_max: int
    """Most bytes of all files in one response, as the operator has set it."""
    traits: Traits

    def check(self, request: JobRequest) -> None:
        """Check the URLs of a request before it is queued. Raises TargetNotAllowed, UrlRefused."""
        if request.target is not None:
            self.providers[type(request.target)].check(request.target)
        if request.webhook is not None:
            self.webhooks.check(read_target(request.webhook.url))

    def method(self, request: JobRequest) -> DeliveryMethod:
        """Return how the files of a request are delivered."""
        if request.target is not None:
            return METHODS[type(request.target)]
        if request.own_target:
            return DeliveryMethod.CLIENT_BUCKET
        if request.output_mode is OutputMode.URL:
            return DeliveryMethod.BUCKET if self.storage.external else DeliveryMethod.WORKER
        return DeliveryMethod.INLINE if request.output_mode is OutputMode.BASE64 else DeliveryMethod.NAMED

    async def deliver(self, job: Job) -> None:
        """Convert and store the outputs of a job. A second call after a failure continues where the first stopped.

        Raises ConversionFailed, OutputTooLargeForInline, DeliveryFailed, DeliveryRefused, UrlRefused.
        """
        image_format = job.request.image_format
        if image_format is not None:
            from worker.outputs.image_formats import converted  # imports Pillow, which most jobs do not need

            job.outputs = tuple([await converted(self.outputs, job, output, image_format) for output in job.outputs])
            job.request = replace(job.request, image_format=None)  # so that a second delivery does not convert again
        if not job.request.raw:
            self.check_inline(job)
        storage = self._storage(job)
        if storage is not None:
            job.outputs = tuple([await self._stored(job, output, storage) for output in job.outputs])

    def _storage(self, job: Job) -> Storage | None:
        """Return the storage for the job's files, or None if they stay on this worker.

        Raises DeliveryFailed if the client has to send the credentials of its storage again.
        """
        request = job.request
        if request.target is not None:
            files = [output for output in sorted_by_node(job.outputs) if output.text is None]
            return self.providers[type(request.target)].open(request.target, files)
        if request.own_target:
            raise DeliveryFailed(
                "the credentials for your own storage are not stored; send them to POST /jobs/{id}/deliver"
            )
        return self.storage if request.output_mode is OutputMode.URL else None

    async def _stored(self, job: Job, output: Output, storage: Storage) -> Output:
        """Store the file of an output and return the output with its URL. A text is returned unchanged."""
        if output.text is not None:
            return output
        return replace(output, url=await storage.put(job, output, self.outputs.path(job, output)))

    @property
    def inline_alternatives(self) -> str:
        """Advice for a client whose outputs are too large for a response, as part of a sentence."""
        fetch = ", or fetch each file from /jobs/{id}/outputs/{n}" if self.traits.output_urls else ""
        if self.storage.external or fetch:
            return f"request them by URL (`output_format`){fetch}"
        return (
            "name your own bucket (`s3`), request a smaller image format (`output`),"
            " or have the operator set a bucket (WORKER_S3_BUCKET)"
        )

    def check_inline(self, job: Job) -> None:
        """Raise OutputTooLargeForInline if the files alone are too large for a response.

        The size of the complete response is checked after it was written.
        """
        if job.request.output_mode is not OutputMode.BASE64:
            return
        most = self.inline_max
        size = sum(output.size for output in job.outputs)
        if self.traits.max_response_bytes is not None:
            most = min(most, self.traits.max_response_bytes * 3 // 4)  # base64 is 4/3 of a file
        if size > most:
            raise OutputTooLargeForInline(
                f"the files have {size / MIB:.1f} MiB, and a response can hold {most / MIB:.1f} MiB:"
                f" {self.inline_alternatives}"
            )


@asynccontextmanager
async def delivery(
    settings: Settings, outputs: Outputs, storage: Storage | None, traits: Traits
) -> AsyncIterator[Delivery]:
    """Yield the delivery of outputs, with its storages open. `storage` replaces the one in the settings, if it is set.

    Raises StartupError.
    """
    async with AsyncExitStack() as stack:
        guard = await stack.enter_async_context(Guard(storage_policy(settings.s3.allowed_hosts)))
        providers = {
            kind.target_type: await stack.enter_async_context(kind.provider(settings, guard)) for kind in KINDS
        }
        opened = (provider.operator_storage() for provider in providers.values())
        configured = (operator_storage for operator_storage in opened if operator_storage is not None)
        default = storage or next(configured, None) or LocalStorage()
        webhooks = Policy.read(settings.fetch.allow, settings.fetch.ports)
        yield Delivery(outputs, default, providers, webhooks, settings.outputs.inline_max * MIB, traits)
