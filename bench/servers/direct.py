"""ComfyUI asked directly, as a careful client of its own does: post, hear the end, read the history, get the files."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from bench.rounds import Ask
from worker.workflow.prompt import Prompt


class JobFailedError(Exception):
    """A job of the benchmark went wrong; nothing that was measured counts."""


class DirectClient:
    """One session and one WebSocket, for as many jobs as there are."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._client_id = uuid.uuid4().hex
        self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), raise_for_status=True)
        self._ends: dict[str, asyncio.Future[None]] = {}

    async def __aenter__(self) -> Self:
        self._socket = await self._session.ws_connect(f"{self._url}/ws?clientId={self._client_id}", max_msg_size=0)
        self._listening = asyncio.create_task(self._listen())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, tb: TracebackType | None
    ) -> None:
        self._listening.cancel()
        with suppress(asyncio.CancelledError):
            await self._listening
        await self._socket.close()
        await self._session.close()

    async def run(self, prompt: Prompt) -> list[bytes]:
        """The files of a job."""
        prompt_id = await self.finish(prompt)
        outputs = (await self._get_json(f"/history/{prompt_id}"))[prompt_id]["outputs"]
        files = [file for output in outputs.values() for file in output.get("images", ())]
        return [await self._view(file) for file in files]

    async def finish(self, prompt: Prompt) -> str:
        """Run a job and leave its files where they are; its prompt id."""
        prompt_id = str(uuid.uuid4())
        end = self._ends[prompt_id] = asyncio.get_running_loop().create_future()
        body = orjson.dumps({"prompt": prompt, "prompt_id": prompt_id, "client_id": self._client_id})
        async with self._session.post(f"{self._url}/prompt", data=body) as answer:
            await answer.read()
        await end
        return prompt_id

    async def _listen(self) -> None:
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = orjson.loads(message.data)
            data = frame["data"]
            if frame["type"] == "execution_error":  # and after that the same end as of any other run
                self._ends.pop(data["prompt_id"]).set_exception(JobFailedError(data["exception_message"]))
            elif frame["type"] == "executing" and data["node"] is None and data["prompt_id"] in self._ends:
                self._ends.pop(data["prompt_id"]).set_result(None)

    async def _view(self, file: dict[str, str]) -> bytes:
        params = {key: file[key] for key in ("filename", "subfolder", "type")}
        async with self._session.get(f"{self._url}/view", params=params) as answer:
            return await answer.read()

    async def _get_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with self._session.get(self._url + path) as answer:
            return orjson.loads(await answer.read())


def warm(client: DirectClient) -> Ask:
    async def ask(prompt: Prompt) -> float:
        started = time.perf_counter()
        _check(await client.run(prompt))
        return time.perf_counter() - started

    return ask


def fresh(url: str) -> Ask:
    """A client of its own for each job; leaving is not counted."""

    async def ask(prompt: Prompt) -> float:
        started = time.perf_counter()
        async with DirectClient(url) as client:
            _check(await client.run(prompt))
            return time.perf_counter() - started

    return ask


def _check(files: list[bytes]) -> None:
    if not files or not all(files):
        raise JobFailedError("ComfyUI made no picture")
