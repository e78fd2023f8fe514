"""A client of ComfyUI itself: it posts a prompt, waits for the end, reads the history and downloads the files."""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

import aiohttp
import orjson

from bench.rounds import TimedClient
from worker.workflow.prompt import Prompt


class JobFailedError(Exception):
    """A job of the benchmark failed, so no measurement of the run counts."""


class DirectClient:
    """One session and one WebSocket for any number of jobs."""

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
        """Run a job and return its files."""
        prompt_id = await self.finish(prompt)
        outputs = (await self._get_json(f"/history/{prompt_id}"))[prompt_id]["outputs"]
        files = [file for output in outputs.values() for file in output.get("images", ())]
        return [await self._view(file) for file in files]

    async def finish(self, prompt: Prompt) -> str:
        """Run a job and return its prompt id, without downloading its files."""
        prompt_id = str(uuid.uuid4())
        end = asyncio.get_running_loop().create_future()
        self._ends[prompt_id] = end
        body = orjson.dumps({"prompt": prompt, "prompt_id": prompt_id, "client_id": self._client_id})
        async with self._session.post(f"{self._url}/prompt", data=body) as answer:
            await answer.read()
        await end
        return prompt_id

    async def _listen(self) -> None:
        """Complete the futures of prompts that have ended."""
        async for message in self._socket:
            if message.type is not aiohttp.WSMsgType.TEXT:
                continue
            frame = orjson.loads(message.data)
            data = frame["data"]
            if frame["type"] == "execution_error":  # the frame `executing` that follows finds no future any more
                self._ends.pop(data["prompt_id"]).set_exception(JobFailedError(data["exception_message"]))
            elif frame["type"] == "executing" and data["node"] is None and data["prompt_id"] in self._ends:
                self._ends.pop(data["prompt_id"]).set_result(None)

    async def _view(self, file: dict[str, str]) -> bytes:
        """Download a file that an output names."""
        params = {key: file[key] for key in ("filename", "subfolder", "type")}
        async with self._session.get(f"{self._url}/view", params=params) as answer:
            return await answer.read()

    async def _get_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        async with self._session.get(self._url + path) as answer:
            return orjson.loads(await answer.read())


def warm_client(client: DirectClient) -> TimedClient:
    """Return a client that keeps its connections."""

    async def run_job(prompt: Prompt) -> float:
        started = time.perf_counter()
        _check(await client.run(prompt))
        return time.perf_counter() - started

    return run_job


def fresh_client(url: str) -> TimedClient:
    """Return a client that opens its connections for each job. Closing them is not measured."""

    async def run_job(prompt: Prompt) -> float:
        started = time.perf_counter()
        async with DirectClient(url) as client:
            _check(await client.run(prompt))
            return time.perf_counter() - started

    return run_job


def _check(files: list[bytes]) -> None:
    """Raise JobFailedError when there is no file, or an empty one."""
    if not files or not all(files):
        raise JobFailedError("ComfyUI made no image")
