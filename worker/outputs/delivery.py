"""The last step of a job: its files as they were asked for, in the place they were asked into."""

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
WAYS: Mapping[type[DeliveryTarget], DeliveryMethod] = {kind.target_type: kind.way for kind in KINDS}


@dataclass(frozen=True, slots=True)
class Delivery:
    """`storage` is the operator's place for what is asked for by URL; `providers` open the clients' own."""

    outputs: Outputs
    storage: Storage
    providers: Mapping[type[DeliveryTarget], StorageProvider]
    webhooks: Policy
    """Where webhooks may go."""
    inline_max: int
    """Most bytes of the files of one answer: the operator's limit."""
    traits: Traits

    def check(self, request: JobRequest) -> None:
        """Before anything is queued, by what the URLs alone say. Raises TargetNotAllowed, UrlRefused."""
        if request.target is not None:
            self.providers[type(request.target)].check(request.target)
        if request.webhook is not None:
            self.webhooks.check(read_target(request.webhook.url))

    def method(self, request: JobRequest) -> DeliveryMethod:
        """How the files of such a request are delivered."""
        if request.target is not None:
            return WAYS[type(request.target)]
        if request.own_target:
            return DeliveryMethod.CLIENT_BUCKET
        if request.output_mode is OutputMode.URL:
            return DeliveryMethod.BUCKET if self.storage.external else DeliveryMethod.WORKER
        return DeliveryMethod.INLINE if request.output_mode is OutputMode.BASE64 else DeliveryMethod.NAMED

    async def deliver(self, job: Job) -> None:
        """What is done stays done: a second delivery goes on with what the first has reached.

        Raises ConversionFailed, OutputTooLargeForInline, DeliveryFailed, DeliveryRefused, UrlRefused.
        """
        wanted = job.request.image_format
        if wanted is not None:
            from worker.outputs.image_formats import converted  # and Pillow with it, which most jobs don't need

            job.outputs = tuple([await converted(self.outputs, job, output, wanted) for output in job.outputs])
            job.request = replace(job.request, image_format=None)  # else a second delivery would do it again
        if not job.request.raw:
            self.check_inline(job)
        storage = self._storage(job)
        if storage is not None:
            job.outputs = tuple([await self._stored(job, output, storage) for output in job.outputs])

    def _storage(self, job: Job) -> Storage | None:
        request = job.request
        if request.target is not None:
            files = [output for output in sorted_by_node(job.outputs) if output.text is None]
            return self.providers[type(request.target)].open(request.target, files)
        if request.own_target:
            raise DeliveryFailed("the credentials for your own storage are gone; send them to POST /jobs/{id}/deliver")
        return self.storage if request.output_mode is OutputMode.URL else None

    async def _stored(self, job: Job, output: Output, storage: Storage) -> Output:
        if output.text is not None:
            return output
        return replace(output, url=await storage.put(job, output, self.outputs.path(job, output)))

    @property
    def inline_alternatives(self) -> str:
        """How a client gets outputs that no answer can hold, as part of a sentence."""
        fetch = ", or fetch each from /jobs/{id}/outputs/{n}" if self.traits.output_urls else ""
        if self.storage.external or fetch:
            return f"ask for them by URL (`output_format`){fetch}"
        return (
            "name a bucket of your own (`s3`), ask for a smaller image format (`output`),"
            " or have the operator set a bucket (WORKER_S3_BUCKET)"
        )

    def check_inline(self, job: Job) -> None:
        """Refuse what the files alone make too large; the whole answer is measured once it is written.

        Raises OutputTooLargeForInline.
        """
        if job.request.output_mode is not OutputMode.BASE64:
            return
        most, size = self.inline_max, sum(output.size for output in job.outputs)
        if self.traits.max_response_bytes is not None:
            most = min(most, self.traits.max_response_bytes * 3 // 4)  # base64 is 4/3 of a file
        if size > most:
            raise OutputTooLargeForInline(
                f"the files have {size / MIB:.1f} MiB, and {most / MIB:.1f} fit into an answer:"
                f" {self.inline_alternatives}"
            )


@asynccontextmanager
async def delivery(
    settings: Settings, outputs: Outputs, storage: Storage | None, traits: Traits
) -> AsyncIterator[Delivery]:
    """With the places that the settings name; `storage` goes before the operator's bucket. Raises StartupError."""
    async with AsyncExitStack() as stack:
        guard = await stack.enter_async_context(Guard(storage_policy(settings.s3.allowed_hosts)))
        providers = {
            kind.target_type: await stack.enter_async_context(kind.provider(settings, guard)) for kind in KINDS
        }
        configured = (place for provider in providers.values() if (place := provider.operator_storage()) is not None)
        place = storage or next(configured, None) or LocalStorage()
        webhooks = Policy.read(settings.fetch.allow, settings.fetch.ports)
        yield Delivery(outputs, place, providers, webhooks, settings.outputs.inline_max * MIB, traits)
