"""The calls to RunPod, as its SDK makes them: take, batch take, stopped jobs, result, part
of a stream, and heartbeat."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from io import BytesIO
from pathlib import Path
from typing import Self

from aiohttp import AddrInfoType, ClientError, ClientResponse, ClientSession, ClientTimeout, TCPConnector, hdrs

from worker import __version__
from worker.bodies import BodyLimits, open_json, parse_json
from worker.errors import WorkerError
from worker.platforms.runpod.queue.taken_job import TakenJob, taken_jobs, unreadable_job
from worker.platforms.runpod.queue.urls import PROTOCOL_VERSION, QueueUrls
from worker.platforms.runpod.settings import RunpodSettings

CONNECT_S = 10.0
HELD_S = 120.0
"""Seconds without a byte after which a long poll is given up. RunPod's SDK gives up after 90 s, and a job that RunPod
sends just then is lost (R18). RunPod has to answer earlier than this worker gives up."""
KEEPALIVE = {"TCP_KEEPIDLE": 10, "TCP_KEEPINTVL": 5, "TCP_KEEPCNT": 3}
"""A connection without an answer to three probes, 25 s after the last byte, is broken."""
PING_S, PROGRESS_S = 10.0, 5.0
RESULT_S = 300.0
"""Seconds for sending a result of 20 MB over a slow network."""
NO_ANSWER = (ClientError, OSError)
"""Exceptions of a call without an answer. TimeoutError is an OSError."""
USER_AGENT = f"RunPod-Python-SDK/{PROTOCOL_VERSION} (comfy-worker/{__version__})"
FORM = "application/x-www-form-urlencoded"
"""The content type of results, though they are JSON: RunPod's SDK sends it."""
REQUEST_ID = "X-Request-ID"


@dataclass(frozen=True, slots=True)
class QueueAnswer:
    """Status of an answer, and the seconds of its header `Retry-After`, 0 without one."""

    status: int
    retry_after_s: float = 0.0

    @property
    def accepted(self) -> bool:
        """Whether the status is 2xx."""
        return HTTPStatus.OK <= self.status < HTTPStatus.MULTIPLE_CHOICES


@dataclass(frozen=True, slots=True)
class TakeAnswer:
    """The answer to a take, and the jobs in it."""

    answer: QueueAnswer
    jobs: Sequence[TakenJob] = ()


class QueueClient:
    """Makes the calls. All of them raise an exception of NO_ANSWER without an answer."""

    def __init__(self, session: ClientSession, urls: QueueUrls, *, streams: bool = False) -> None:
        self._session = session
        self.urls = urls
        self.streams = streams
        """Whether progress is sent as parts of a stream."""

    @classmethod
    @asynccontextmanager
    async def of(cls, settings: RunpodSettings) -> AsyncIterator[Self]:
        """Yield a client with the worker's key. Raises StartupError for a URL that cannot be used."""
        urls = QueueUrls.of(settings)
        headers = {
            hdrs.CONTENT_TYPE: "application/json",
            hdrs.AUTHORIZATION: settings.api_key.get_secret_value(),  # without `Bearer`
            hdrs.USER_AGENT: USER_AGENT,
        }
        # Without a limit, because two long polls must not take the place of a result.
        connector = TCPConnector(limit=0, socket_factory=open_socket)
        async with ClientSession(connector=connector, headers=headers) as session:
            yield cls(session, urls, streams=settings.stream and bool(urls.stream))

    @asynccontextmanager
    async def take(self, count: int, spool: Path, limits: BodyLimits, *, busy: bool) -> AsyncIterator[TakeAnswer]:
        """Wait for at most `count` jobs. Their long strings are files in `spool` until the context ends.

        Raises WorkerError for an answer that cannot be read and has no id.
        """
        url = self.urls.take_jobs(count, busy=busy)
        async with self._session.get(url, timeout=_held()) as response:
            answer = _answer(response)
            json = await response.read() if response.status == HTTPStatus.OK else b""
        async with AsyncExitStack() as stack:
            jobs: Sequence[TakenJob] = ()
            if json:
                try:
                    jobs = taken_jobs(await stack.enter_async_context(open_json(_chunks(json), spool, limits)))
                except WorkerError as error:
                    jobs = unreadable_job(json, error)
            yield TakeAnswer(answer, jobs)

    async def stopped_jobs(self) -> tuple[QueueAnswer, list[str]]:
        """Wait for jobs to stop, and return their ids. Raises InvalidJson too."""
        async with self._session.get(self.urls.stopped_jobs(), timeout=_held()) as response:
            if response.status != HTTPStatus.OK:
                return _answer(response), []
            value = parse_json(await response.read(), "the answer about stopped jobs")
            ids = value.get("jobsToStop") if isinstance(value, dict) else None
            return _answer(response), [job_id for job_id in ids or () if isinstance(job_id, str)]

    async def send_result(self, job_id: str, body: bytes) -> QueueAnswer:
        """Send the result of a job."""
        return await self._post(self.urls.result(job_id, streamed=self.streams), job_id, body, RESULT_S)

    async def send_progress(self, job_id: str, body: bytes) -> QueueAnswer:
        """Send a progress update of a job, as a part of its stream if the worker streams."""
        url = self.urls.chunk(job_id) if self.streams else self.urls.result(job_id)
        return await self._post(url, job_id, body, PROGRESS_S)

    async def ping(self, job_ids: Sequence[str]) -> QueueAnswer:
        """Send a heartbeat with the ids of the jobs that run."""
        async with self._session.get(self.urls.ping(job_ids), timeout=ClientTimeout(total=PING_S)) as response:
            return _answer(response)

    async def report_unhealthy(self, check: str, reason: str) -> QueueAnswer:
        """Report that this worker cannot run jobs."""
        url = self.urls.unhealthy(check, reason)
        async with self._session.get(url, timeout=ClientTimeout(total=PING_S)) as response:
            return _answer(response)

    async def _post(self, url: str, job_id: str, body: bytes, limit_s: float) -> QueueAnswer:
        headers: Mapping[str, str] = {hdrs.CONTENT_TYPE: FORM, "charset": "utf-8", REQUEST_ID: job_id}
        timeout = ClientTimeout(total=limit_s, sock_connect=CONNECT_S)
        async with self._session.post(url, data=BytesIO(body), headers=headers, timeout=timeout) as response:
            return _answer(response)


def open_socket(address: AddrInfoType) -> socket.socket:
    """Return a socket whose connection is checked while nothing is sent, such as during a long poll.

    A machine that was frozen and resumed, as FlashBoot does it, has connections that end only that way.
    """
    family, kind, protocol, _, _ = address
    connection = socket.socket(family, kind, protocol)
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in KEEPALIVE.items():
        if hasattr(socket, name):  # not on every system
            connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
    return connection


def _held() -> ClientTimeout:
    """Return the timeouts of a long poll."""
    return ClientTimeout(total=None, sock_connect=CONNECT_S, sock_read=HELD_S)


def _answer(response: ClientResponse) -> QueueAnswer:
    """Return the status of a response. A `Retry-After` that is a date counts as none."""
    text = response.headers.get(hdrs.RETRY_AFTER, "")
    return QueueAnswer(response.status, float(text) if text.isdecimal() else 0.0)


async def _chunks(json: bytes) -> AsyncIterator[bytes]:
    """Yield the JSON as one chunk."""
    yield json
