"""Sends the fuzzer's requests, judges each answer, and keeps count."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import orjson

from chaos.fuzzing.fuzz_request import Answered, FuzzRequest, documented, problem
from chaos.fuzzing.requests import Pot

KEPT = 200
BROKEN = (aiohttp.ClientError, ConnectionError, TimeoutError, ValueError)
ANSWER_S = 60.0


@dataclass(slots=True)
class AnswerTally:
    """`codes` are (kind of route, status, error code); `problems` what no answer may be, with the request."""

    sent: int = 0
    unsendable: int = 0
    codes: Counter[tuple[str, int, str]] = field(default_factory=Counter)
    problems: list[tuple[str, FuzzRequest]] = field(default_factory=list)

    def statuses(self) -> Counter[tuple[int, str]]:
        found: Counter[tuple[int, str]] = Counter()
        for (_, status, code), count in self.codes.items():
            found[status, code] += count
        return found


@dataclass(frozen=True, slots=True)
class Sender:
    """`url` is what is fuzzed; `headers` are those of its operator's client. Remembers the jobs that were accepted."""

    http: aiohttp.ClientSession
    url: str
    pot: Pot
    tally: AnswerTally
    headers: dict[str, str] = field(default_factory=dict)
    known: frozenset[tuple[int, str]] = field(default_factory=documented)

    async def send(self, asked: FuzzRequest) -> None:
        """Raises nothing: whatever goes wrong is in the tally."""
        try:
            answered = await self._answer(asked)
        except BROKEN as error:
            self._broken(asked, error)
            return
        self.tally.sent += 1
        self.tally.codes[asked.kind, answered.status, answered.code()] += 1
        if (wrong := problem(asked, answered, self.known)) is not None:
            self._keep(wrong, asked)
        self._remember(answered)

    async def _answer(self, asked: FuzzRequest) -> Answered:
        async with self.http.request(
            asked.method,
            self.url + asked.path,
            data=asked.body or None,
            headers={**self.headers, **asked.headers},
            timeout=aiohttp.ClientTimeout(total=ANSWER_S),
            allow_redirects=False,
        ) as answer:
            body = b"{}" if asked.method == "HEAD" else await answer.read()
            if asked.method == "HEAD" and answer.status >= 400:  # no body may come
                return Answered(200, "application/json", body)
            return Answered(answer.status, answer.content_type, body)

    def _broken(self, asked: FuzzRequest, error: BaseException) -> None:
        if isinstance(error, aiohttp.InvalidURL | ValueError):  # our own client refuses to send this
            self.tally.unsendable += 1
            return
        self.tally.sent += 1
        self._keep(f"no answer: {type(error).__name__}", asked)

    def _keep(self, wrong: str, asked: FuzzRequest) -> None:
        if len(self.tally.problems) < KEPT:
            self.tally.problems.append((wrong, asked))

    def _remember(self, answered: Answered) -> None:
        for found in _accepted(answered):
            self.pot.accepted(*found)


def _accepted(answered: Answered) -> list[tuple[str, str]]:
    """(id, token) from a 202, or from the first event of a stream."""
    body: Any = None
    if answered.content_type == "text/event-stream":
        events = answered.events()
        body = orjson.loads(events[0].data) if events else None
    elif answered.status == 202:
        body = answered.parsed()
    match body:
        case {"id": str(job_id), "token": str(token)}:
            return [(job_id, token)]
    return []
