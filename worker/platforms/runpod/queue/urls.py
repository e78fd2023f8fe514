"""The URLs of the calls to RunPod, from the URLs in the environment.

RunPod's variables have a query already, and its SDK appends to it without looking. Without a query, that would send the
parameters as part of the path (R20).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import quote, quote_plus, urlencode, urlsplit
from uuid import uuid4

from worker.errors import StartupError
from worker.platforms.runpod.settings import RunpodSettings

ID, POD_ID = "$ID", "$RUNPOD_POD_ID"
"""Placeholders. `$ID` is the worker in the URL of takes and pings, and the job in that of results."""
TAKE, TAKE_BATCH, STOP = "/job-take/", "/job-take-batch/", "/job-stop/"
PROTOCOL_VERSION = "1.11.0"
"""Version of RunPod's SDK whose calls this worker makes. RunPod may treat older versions differently (R26)."""
LONGEST_REASON = 256
"""Characters of the reason in a report of an unhealthy worker."""


@dataclass(frozen=True, slots=True)
class QueueUrls:
    """Builds the URL of each call. The fields are URLs without placeholders for the worker. `ping` may be empty."""

    take: str
    done: str
    stream: str
    heartbeat: str

    @classmethod
    def of(cls, settings: RunpodSettings) -> Self:
        """Return the URLs of a worker. Raises StartupError for a URL that is missing or cannot be used.

        A worker without an id gets a random one. As in RunPod's SDK, it sends no pings then, and none without a key.
        """
        for name, url in (
            ("RUNPOD_WEBHOOK_GET_JOB", settings.take_url),
            ("RUNPOD_WEBHOOK_POST_OUTPUT", settings.done_url),
        ):
            _check(name, url)
        pod = quote(settings.pod_id or uuid4().hex, safe="")
        ping_url = settings.ping_url if settings.pod_id and settings.api_key.get_secret_value() else ""
        # In the two URLs with a worker, `$ID` is the worker. The longer placeholder goes first: it contains no other.
        return cls(
            take=settings.take_url.replace(POD_ID, pod).replace(ID, pod),
            done=settings.done_url.replace(POD_ID, pod),
            stream=settings.stream_url.replace(POD_ID, pod),
            heartbeat=ping_url.replace(POD_ID, pod).replace(ID, pod),
        )

    def take_jobs(self, count: int, *, busy: bool) -> str:
        """Return the URL that takes one job or, for a larger `count`, a batch of at most that many."""
        in_progress = ("job_in_progress", str(int(busy)))
        if count == 1:
            return with_query(self.take, in_progress)
        return with_query(replace_path(self.take, TAKE, TAKE_BATCH), ("batch_size", str(count)), in_progress)

    def stopped_jobs(self) -> str:
        """Return the URL that waits for jobs to stop."""
        return replace_path(self.take, TAKE, STOP)

    def result(self, job_id: str, *, streamed: bool = False) -> str:
        """Return the URL for the result of a job, and for its progress."""
        return with_query(self.done.replace(ID, quote(job_id, safe="")), ("isStream", str(streamed).lower()))

    def chunk(self, job_id: str) -> str:
        """Return the URL for a part of the stream of a job."""
        return with_query(self.stream.replace(ID, quote(job_id, safe="")), ("isStream", "false"))

    def ping(self, job_ids: Sequence[str]) -> str:
        """Return the URL of a heartbeat with the jobs that run."""
        jobs = [("job_id", ",".join(job_ids))] if job_ids else []
        return with_query(self.heartbeat, *jobs, ("runpod_version", PROTOCOL_VERSION))

    def unhealthy(self, check: str, reason: str) -> str:
        """Return the URL of a heartbeat that reports a failed check."""
        return with_query(
            self.heartbeat,
            ("status", "unhealthy"),
            ("check", check),
            ("reason", reason[:LONGEST_REASON]),
            ("runpod_version", PROTOCOL_VERSION),
        )


def with_query(url: str, *parameters: tuple[str, str]) -> str:
    """Return the URL with parameters appended to its query. Commas stay as they are, as RunPod's SDK sends them."""
    query = urlencode(parameters, safe=",", quote_via=quote_plus)
    if "?" not in url:
        return f"{url}?{query}"
    separator = "" if url.endswith(("?", "&")) else "&"
    return f"{url}{separator}{query}"


def replace_path(url: str, old: str, new: str) -> str:
    """Return the URL with the first occurrence of `old` in its path replaced. The query stays as it is."""
    parts = urlsplit(url)
    return parts._replace(path=parts.path.replace(old, new, 1)).geturl()


def _check(name: str, url: str) -> None:
    """Raise StartupError unless the URL can be used."""
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise StartupError(f"{name} is not a URL: RunPod sets it in the workers of a queue-based endpoint")
    if name.endswith("GET_JOB") and TAKE not in parts.path:
        raise StartupError(f"{name} has no {TAKE!r} in its path, so the URL of stopped jobs is unknown")
    if name.endswith("POST_OUTPUT") and ID not in url.replace(POD_ID, ""):
        raise StartupError(f"{name} has no {ID} for the id of the job")
