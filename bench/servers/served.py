"""Clients of servers in front of a ComfyUI, each in the server's own dialect."""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import aiohttp
import orjson

from bench.rounds import TimedClient
from bench.servers.direct import JobFailedError
from worker.workflow.prompt import Prompt


@dataclass(frozen=True, slots=True)
class PeerDialect:
    """The request body for a prompt, and the base64 images in the response.

    None means that the response is the image.
    """

    body: Callable[[Prompt], object]
    images: Callable[[Any], Iterable[str]] | None

    @property
    def accept(self) -> str:
        """Value of the Accept header."""
        return "application/json" if self.images else "image/*"

    def check(self, answer: bytes) -> None:
        """Decode the images of a response as a client would. Raises JobFailedError when there is none."""
        if self.images:
            self.decode(orjson.loads(answer))
        elif not answer:
            raise JobFailedError("the response is empty")

    def decode(self, answer: Any) -> None:  # noqa: ANN401 - JSON
        """Decode the base64 images of a JSON response. Raises JobFailedError."""
        try:
            texts = self.images(answer) if self.images else list(answer)
            files = [base64.b64decode(text) for text in texts]
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
    """A server: its name in the tables, the name of its dialect and the URL for jobs."""

    name: str
    dialect: str
    url: str

    @classmethod
    def read(cls, text: str) -> Peer:
        """Return the peer of `NAME=DIALECT=URL`. Raises ValueError."""
        name, dialect, url = text.split("=", 2)
        if dialect not in DIALECTS:
            raise ValueError(f"the dialect {dialect!r} is none of {', '.join(DIALECTS)}")
        return cls(name, dialect, url)

    async def run_job(self, session: aiohttp.ClientSession, prompt: Prompt) -> None:
        """Run a job. Raises JobFailedError."""
        dialect = DIALECTS[self.dialect]
        body = orjson.dumps(dialect.body(prompt))
        headers = {"Content-Type": "application/json", "Accept": dialect.accept}
        async with session.post(self.url, data=body, headers=headers) as answer:
            text = await answer.read()
            if answer.status != 200:
                raise JobFailedError(f"{self.name} returned {answer.status}: {text[:300]!r}")
            dialect.check(text)


def kept_client(peer: Peer, session: aiohttp.ClientSession) -> TimedClient:
    """Return a client that keeps its connection."""

    async def run_job(prompt: Prompt) -> float:
        started = time.perf_counter()
        await peer.run_job(session, prompt)
        return time.perf_counter() - started

    return run_job


def new_client(peer: Peer) -> TimedClient:
    """Return a client with a new connection for each job. Closing it is not measured."""

    async def run_job(prompt: Prompt) -> float:
        started = time.perf_counter()
        async with open_session() as session:
            await peer.run_job(session, prompt)
            return time.perf_counter() - started

    return run_job


def open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(total=600))
