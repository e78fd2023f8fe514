"""Servers in front of a ComfyUI, asked for a picture in base64 or as a file, each in the words it knows."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from bench.rounds import Ask
from bench.servers.direct import JobFailedError
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class PeerDialect:
    """How to ask for a prompt, and where the answer has its pictures (base64); None: the answer is the picture."""

    body: Callable[[Prompt], object]
    pictures: Callable[[Any], Iterable[str]] | None

    @property
    def accept(self) -> str:
        return "application/json" if self.pictures else "image/*"

    def take(self, answer: bytes) -> None:
        """Have the picture's bytes in hand. Raises JobFailedError."""
        if self.pictures:
            self.decode(orjson.loads(answer))
        elif not answer:
            raise JobFailedError("the answer is empty")

    def decode(self, answer: Any) -> None:  # noqa: ANN401 - JSON
        """Take the bytes out, as whoever wants a picture has to. Raises JobFailedError."""
        try:
            files = [base64.b64decode(text) for text in (self.pictures or list)(answer)]
        except (KeyError, TypeError) as error:
            raise JobFailedError(str(answer)[:300]) from error
        if not files or not all(files):
            raise JobFailedError(str(answer)[:300])


DIALECTS = {
    "native": PeerDialect(
        lambda prompt: {"workflow": prompt},
        lambda answer: [output["data"] for output in answer["outputs"]],
    ),
    "raw": PeerDialect(lambda prompt: {"workflow": prompt}, None),
    "vast": PeerDialect(
        lambda prompt: {
            "input": {
                "request_id": str(uuid.uuid4()),
                "workflow_json": prompt,
                "return_outputs_as_base64": True,
            }
        },
        lambda answer: [output["data"] for output in answer["output"]],
    ),
    "runpod": PeerDialect(
        lambda prompt: {"input": {"workflow": prompt}},
        lambda answer: [image["data"] for image in answer.get("output", answer)["images"]],
    ),
    "salad": PeerDialect(lambda prompt: {"prompt": prompt}, lambda answer: answer["images"]),
}


@dataclass(frozen=True, slots=True)
class Peer:
    """A server: its name in the tables, the key of its dialect, and the URL that takes a job."""

    name: str
    dialect: str
    url: str

    @classmethod
    def read(cls, text: str) -> Peer:
        """From NAME=DIALECT=URL. Raises ValueError."""
        name, dialect, url = text.split("=", 2)
        if dialect not in DIALECTS:
            raise ValueError(f"{dialect!r} is none of {', '.join(DIALECTS)}")
        return cls(name, dialect, url)

    async def ask(self, session: aiohttp.ClientSession, prompt: Prompt) -> None:
        dialect = DIALECTS[self.dialect]
        body = orjson.dumps(dialect.body(prompt))
        headers = {"Content-Type": "application/json", "Accept": dialect.accept}
        async with session.post(self.url, data=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status != 200:
                raise JobFailedError(f"{self.name} answers {answer.status}: {text[:300]!r}")
            dialect.take(text)


def kept(peer: Peer, session: aiohttp.ClientSession) -> Ask:
    """Every job over the same connection."""

    async def ask(prompt: Prompt) -> float:
        started = time.perf_counter()
        await peer.ask(session, prompt)
        return time.perf_counter() - started

    return ask


def fresh(peer: Peer) -> Ask:
    """A connection of its own for each job; leaving is not counted."""

    async def ask(prompt: Prompt) -> float:
        started = time.perf_counter()
        async with open_session() as session:
            await peer.ask(session, prompt)
            return time.perf_counter() - started

    return ask


def open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600))
