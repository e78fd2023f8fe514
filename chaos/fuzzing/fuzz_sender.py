"""Sender of the fuzzer's requests, which checks and counts the responses."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from chaos.fuzzing.fuzz_request import FuzzRequest, FuzzResponse, documented_errors, find_problem
from chaos.fuzzing.request_strategies import FuzzState

MAX_PROBLEMS = 200
SEND_ERRORS = (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError)
RESPONSE_S = 60.0


@dataclass(slots=True)
class ResponseTally:
    """Counts of the responses by kind of route, status and error code, and the invalid ones with their requests."""

    sent: int = 0
    unsendable: int = 0
    codes: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    problems: list[tuple[str, FuzzRequest]] = field(default_factory=list)

    def status_counts(self) -> Counter[tuple[int, str]]:
        """Return the number of responses by status and error code."""
        counts: Counter[tuple[int, str]] = Counter()
        for (_, status, code), count in self.codes.items():
            counts[status, code] += count
        return counts


@dataclass(frozen=True, slots=True)
class FuzzSender:
    """Sends requests to one URL with the headers of its client, and records accepted jobs in the state."""

    http: aiohttp.ClientSession
    url: str
    state: FuzzState
    tally: ResponseTally
    headers: dict[str, str] = field(default_factory=dict)
    documented: frozenset[tuple[int, str]] = field(default_factory=documented_errors)

    async def send(self, request: FuzzRequest) -> None:
        """Send a request. Errors are recorded in the tally and not raised."""
        try:
            response = await self._request(request)
        except SEND_ERRORS as error:
            self._record_failure(request, error)
            return
        self.tally.sent += 1
        self.tally.codes[request.kind, response.status, response.code()] += 1
        if (problem := find_problem(request, response, self.documented)) is not None:
            self._add_problem(problem, request)
        self._record_job(response)

    async def _request(self, request: FuzzRequest) -> FuzzResponse:
        """Send a request and return its response."""
        async with self.http.request(
            request.method,
            self.url + request.path,
            data=request.body or None,
            headers={**self.headers, **request.headers},
            timeout=aiohttp.ClientTimeout(total=RESPONSE_S),
            allow_redirects=False,
        ) as http_response:
            body = b"{}" if request.method == "HEAD" else await http_response.read()
            if request.method == "HEAD" and http_response.status >= 400:  # such a response has no body to check
                return FuzzResponse(200, "application/json", body)
            return FuzzResponse(http_response.status, http_response.content_type, body)

    def _record_failure(self, request: FuzzRequest, error: BaseException) -> None:
        """Record a request without a response, or one that the HTTP client refuses to send."""
        if isinstance(error, aiohttp.InvalidURL | ValueError):  # the HTTP client refuses to send such a request
            self.tally.unsendable += 1
            return
        self.tally.sent += 1
        self._add_problem(f"no response: {type(error).__name__}", request)

    def _add_problem(self, problem: str, request: FuzzRequest) -> None:
        """Record a problem, unless there are too many already."""
        if len(self.tally.problems) < MAX_PROBLEMS:
            self.tally.problems.append((problem, request))

    def _record_job(self, response: FuzzResponse) -> None:
        """Add the job of a response to the state."""
        for job in _accepted_jobs(response):
            self.state.add_job(*job)


def _accepted_jobs(response: FuzzResponse) -> list[tuple[str, str]]:
    """Return id and token of the job from a 202 response, or from the first event of a stream."""
    body: Any = None
    if response.content_type == "text/event-stream":
        events = response.events()
        body = orjson.loads(events[0].data) if events else None
    elif response.status == 202:
        body = response.parsed()
    match body:
        case {"id": str(job_id), "token": str(token)}:
            return [(job_id, token)]
    return []
