"""Sends signed webhooks when jobs end, with retries, without delaying jobs."""

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

MOST_CONCURRENT = 4
"""Webhooks that are sent at a time. A body may be as large as a response, so this limits memory."""
CLOSE_S = 5.0
LONGEST_PAUSE_S = 24 * 3600.0
GONE = 410
"""Status with which a receiver ends all further messages (Standard Webhooks)."""

FINAL = {WebhookOutcome.ACCEPTED, WebhookOutcome.GONE, WebhookOutcome.REFUSED}
"""Outcomes after which the webhook is not sent again."""

WebhookBody = Callable[[Job, Webhook], Awaitable[bytes]]
"""Function that returns the body of a webhook.

It is called for each attempt, so that no large body is kept in between.
"""


class Webhooks:
    """An observer that sends one message for the end of a job, and another one if its result is delivered later."""

    def __init__(
        self,
        settings: WebhookSettings,
        guard: Guard,
        jobs: JobIndex,
        make_body: WebhookBody,
        tasks: Tasks,
        notify: Notify,
    ) -> None:
        self._settings = settings
        self._notify = notify
        self._jobs = jobs
        self._tasks = tasks
        self._guard = guard
        self._make_body = make_body
        self._slots = asyncio.Semaphore(MOST_CONCURRENT)
        self._sending: dict[str, asyncio.Task[None]] = {}

    @property
    def handlers(self) -> Handlers:
        """Handlers of the end and the removal of a job."""
        return {JobFinished: self._job_finished, JobRemoved: lambda event: self._stop(event.job)}

    def _job_finished(self, event: JobFinished) -> None:
        """Start sending the webhook of a job, if it has one."""
        # A job that is handed back continues after a restart of the worker, so its end is not reported.
        job = None if event.handed_back else self._jobs.get(event.job)
        if job is not None and job.request.webhook is not None:
            self._begin(job, job.request.webhook)

    async def close(self) -> None:
        """Wait a few seconds for messages in flight, then cancel the rest."""
        tasks = list(self._sending.values())
        if tasks:
            await asyncio.wait(tasks, timeout=CLOSE_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, job: Job, webhook: Webhook) -> None:
        """Start sending a message, and stop an earlier one for the same job."""
        self._stop(job.ref)  # an earlier message is outdated
        task = self._tasks.spawn(f"webhook-{job.id}", self._send(job, webhook))
        self._sending[job.folder] = task
        task.add_done_callback(lambda done: self._forget_task(job.ref, done))

    def _stop(self, ref: JobRef) -> None:
        """Stop sending the message for a job."""
        if task := self._sending.pop(ref.folder, None):
            task.cancel()

    def _forget_task(self, ref: JobRef, task: asyncio.Task[None]) -> None:
        """Forget a task that has ended, unless a newer one has replaced it."""
        if self._sending.get(ref.folder) is task:
            del self._sending[ref.folder]

    async def _send(self, job: Job, webhook: Webhook) -> None:
        """Send a message, with retries until it has a final outcome or the attempts are used up."""
        message_id = f"msg_{uuid4().hex}"
        backoff = webhook_backoff(self._settings.pause_s)
        for number in range(1, self._settings.tries + 1):
            started_at = time.monotonic()
            outcome, description = await self._attempt(job, webhook, message_id)
            log.info("webhook of job %s: %s at attempt %d", job.id, description, number)
            self._notify(WebhookAttempted(job.ref, number, outcome, time.monotonic() - started_at))
            if outcome in FINAL:
                return
            if number < self._settings.tries:
                await asyncio.sleep(backoff.pause(number))
        log.warning("webhook of job %s: gave up after %d attempts", job.id, self._settings.tries)

    async def _attempt(self, job: Job, webhook: Webhook, message_id: str) -> tuple[WebhookOutcome, str]:
        """Make one attempt. Return the outcome, and a text for the log without the URL, which may contain a secret."""
        async with self._slots:
            try:
                body = await self._make_body(job, webhook)
                async with asyncio.timeout(webhook.timeout_s or self._settings.timeout_s):
                    status = await self._post(webhook, message_id, body)
            except UrlRefused:
                return WebhookOutcome.REFUSED, "refused"
            except (ClientError, TimeoutError) as error:
                return WebhookOutcome.FAILED, type(error).__name__
            except Exception as error:
                log.exception("could not send the webhook of job %s", job.id)
                return WebhookOutcome.FAILED, type(error).__name__
        if status < 300:
            return WebhookOutcome.ACCEPTED, str(status)
        return (WebhookOutcome.GONE if status == GONE else WebhookOutcome.REJECTED), str(status)

    async def _post(self, webhook: Webhook, message_id: str, body: bytes) -> int:
        """Post the body and return the HTTP status."""
        webhook_headers = await asyncio.to_thread(signature_headers, webhook, self._settings.secret, message_id, body)
        headers = {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.USER_AGENT: f"comfy-worker/{__version__}",
            **webhook_headers,
        }
        target = read_target(webhook.url)
        async with self._guard.request(hdrs.METH_POST, target, headers, io.BytesIO(body)) as response:
            return response.status


@asynccontextmanager
async def running_webhooks(
    settings: WebhookSettings,
    fetch: FetchSettings,
    jobs: JobIndex,
    make_body: WebhookBody,
    tasks: Tasks,
    notify: Notify,
) -> AsyncIterator[Webhooks]:
    """Yield Webhooks with their own guard for outgoing requests, and close them when the context ends.

    Raises StartupError for a secret that cannot sign.
    """
    try:
        if secret := settings.secret.get_secret_value():
            signing_key(secret)
    except ValueError as error:
        raise StartupError(f"WORKER_WEBHOOK_SECRET {error}") from None
    async with Guard(Policy.read(fetch.allow, fetch.ports)) as guard:
        observer = Webhooks(settings, guard, jobs, make_body, tasks, notify)
        try:
            yield observer
        finally:
            await observer.close()


def webhook_backoff(first_s: float) -> Backoff:
    """Return the pauses between attempts. Each may be four times as long as the one before, up to a day."""
    return Backoff(first_s, max(first_s, LONGEST_PAUSE_S), factor=4)


def signature_headers(webhook: Webhook, operator_secret: SecretStr, message_id: str, body: bytes) -> dict[str, str]:
    """Return the headers of Standard Webhooks, with a signature.

    A webhook in the form of Vast's stock template gets the signature of that template as well. Without a secret there
    is no signature, because a signature with an empty key would look valid.
    """
    now = datetime.now(UTC)
    headers = {"webhook-id": message_id, "webhook-timestamp": str(int(now.timestamp()))}
    request_secret = webhook.secret.get_secret_value()
    secret = request_secret or operator_secret.get_secret_value()
    if not secret:
        return headers
    # Secrets of the stock template are any text. Others are base64, as Standard Webhooks specifies.
    key = request_secret.encode() if request_secret and webhook.stock else signing_key(secret)
    headers["webhook-signature"] = Signer(key).sign(message_id, now, body.decode())
    if webhook.stock:
        digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
        headers["X-Webhook-Signature"] = f"sha256={digest}"
    return headers
