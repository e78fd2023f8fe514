"""Tells a client's own server how its job ended: signed, again until it is heard, and in nobody's way."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import io
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

from aiohttp import ClientError, hdrs
from pydantic import SecretStr
from standardwebhooks import Webhook as Signer

from worker import __version__
from worker.backoff import Backoff
from worker.delivery_options import Webhook, signing_key
from worker.errors import StartupError, UrlRefused
from worker.events import Handlers, JobFinished, JobRemoved, Notify, WebhookAttempted, WebhookOutcome
from worker.fetch.guard import Guard
from worker.fetch.policy import Policy
from worker.fetch.target import read_target
from worker.job import Job, JobRef
from worker.jobs.job_index import JobIndex
from worker.settings import FetchSettings, WebhookSettings
from worker.supervision import Tasks

log = logging.getLogger(__name__)

AT_ONCE = 4
"""A body may be as large as an answer: no more than so many are in memory."""
LAST_WORDS_S = 5.0
LONGEST_PAUSE_S = 24 * 3600.0
GONE = 410
"""Standard Webhooks: the receiver wants no more of them."""

FINAL = {WebhookOutcome.ACCEPTED, WebhookOutcome.GONE, WebhookOutcome.REFUSED}
"""Outcomes after which nothing is sent again."""

Told = Callable[[Job, Webhook], Awaitable[bytes]]
"""The body of a webhook, made anew for each try, so that nothing large is held while it waits."""


class Webhooks:
    """An observer. One message for a job's end, and another one if its result is delivered later."""

    def __init__(
        self, settings: WebhookSettings, guard: Guard, jobs: JobIndex, told: Told, tasks: Tasks, notify: Notify
    ) -> None:
        self._settings = settings
        self._notify = notify
        self._jobs = jobs
        self._tasks = tasks
        self._guard = guard
        self._told = told
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._sending: dict[str, asyncio.Task[None]] = {}

    @property
    def handlers(self) -> Handlers:
        return {JobFinished: self._job_finished, JobRemoved: lambda event: self._stop(event.job)}

    def _job_finished(self, event: JobFinished) -> None:
        job = None if event.handed_back else self._jobs.get(event.job)
        if job is not None and job.request.webhook is not None:
            self._begin(job, job.request.webhook)

    async def close(self) -> None:
        """What can be told at once still is; the rest is given up."""
        tasks = list(self._sending.values())
        if tasks:
            await asyncio.wait(tasks, timeout=LAST_WORDS_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, job: Job, webhook: Webhook) -> None:
        self._stop(job.ref)  # what is older is not true any more
        task = self._tasks.spawn(f"webhook-{job.id}", self._send(job, webhook))
        self._sending[job.folder] = task
        task.add_done_callback(lambda done: self._sent(job.ref, done))

    def _stop(self, ref: JobRef) -> None:
        if task := self._sending.pop(ref.folder, None):
            task.cancel()

    def _sent(self, ref: JobRef, task: asyncio.Task[None]) -> None:
        if self._sending.get(ref.folder) is task:
            del self._sending[ref.folder]

    async def _send(self, job: Job, webhook: Webhook) -> None:
        message_id, backoff = f"msg_{uuid4().hex}", webhook_backoff(self._settings.pause_s)
        for number in range(1, self._settings.tries + 1):
            began = time.monotonic()
            outcome, words = await self._tried(job, webhook, message_id)
            log.info("webhook of job %s: %s at try %d", job.id, words, number)
            self._notify(WebhookAttempted(job.ref, number, outcome, time.monotonic() - began))
            if outcome in FINAL:
                return
            if number < self._settings.tries:
                await asyncio.sleep(backoff.pause(number))
        log.warning("webhook of job %s: given up after %d tries", job.id, self._settings.tries)

    async def _tried(self, job: Job, webhook: Webhook, message_id: str) -> tuple[WebhookOutcome, str]:
        """The outcome, and words for the log without the address, which may carry a secret."""
        async with self._slots:
            try:
                body = await self._told(job, webhook)
                async with asyncio.timeout(webhook.timeout_s or self._settings.timeout_s):
                    status = await self._posted(webhook, message_id, body)
            except UrlRefused:
                return WebhookOutcome.REFUSED, "refused"
            except (ClientError, TimeoutError) as error:
                return WebhookOutcome.FAILED, type(error).__name__
            except Exception as error:
                log.exception("the webhook of job %s could not be sent", job.id)
                return WebhookOutcome.FAILED, type(error).__name__
        rejected = WebhookOutcome.GONE if status == GONE else WebhookOutcome.REJECTED
        return WebhookOutcome.ACCEPTED if status < 300 else rejected, str(status)

    async def _posted(self, webhook: Webhook, message_id: str, body: bytes) -> int:
        signed = await asyncio.to_thread(signatures, webhook, self._settings.secret, message_id, body)
        headers = {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.USER_AGENT: f"comfy-worker/{__version__}",
            **signed,
        }
        target = read_target(webhook.url)
        async with self._guard.request(hdrs.METH_POST, target, headers, io.BytesIO(body)) as answer:
            return answer.status


@asynccontextmanager
async def webhooks(
    settings: WebhookSettings, fetch: FetchSettings, jobs: JobIndex, told: Told, tasks: Tasks, notify: Notify
) -> AsyncIterator[Webhooks]:
    """With a guard of their own; an operator's secret that can't sign is told at the start. Raises StartupError."""
    try:
        if secret := settings.secret.get_secret_value():
            signing_key(secret)
    except ValueError as error:
        raise StartupError(f"WORKER_WEBHOOK_SECRET {error}") from None
    async with Guard(Policy.read(fetch.allow, fetch.ports)) as guard:
        found = Webhooks(settings, guard, jobs, told, tasks, notify)
        try:
            yield found
        finally:
            await found.close()


def webhook_backoff(first_s: float) -> Backoff:
    """Return pauses that grow four times each, to a day at most."""
    return Backoff(first_s, max(first_s, LONGEST_PAUSE_S), factor=4)


def signatures(webhook: Webhook, operators: SecretStr, message_id: str, body: bytes) -> dict[str, str]:
    """Headers after the Standard Webhooks scheme, and the stock template's where it is asked.

    No signature without a secret: one with an empty key would look like a proof.
    """
    now = datetime.now(UTC)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
    own = webhook.secret.get_secret_value()
    secret = own or operators.get_secret_value()
    if not secret:
        return headers
    # The stock template's secrets are any text; ours are base64, as the scheme wants them.
    key = own.encode() if own and webhook.stock else signing_key(secret)
    headers["webhook-signature"] = Signer(key).sign(message_id, now, body.decode())
    if webhook.stock:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Webhook-Signature"] = f"sha256={digest}"
    return headers
