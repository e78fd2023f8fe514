"""ComfyUI's HTTP API, as far as the worker uses it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from mimetypes import guess_type
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from worker.engine.protocol.messages import UnexpectedShape, parse_json, require_object
from worker.engine.protocol.reading import CATALOG, FILES, QUICK, checked_shape, read_body
from worker.engine.protocol.request_body import request_body, revealed
from worker.engine.protocol.responses import (
    EngineInfo,
    HistoryEntry,
    read_history,
    read_info,
    read_queue,
    read_submission,
    read_upload,
)
from worker.errors import (
    EngineUnavailable,
    InvalidInputFile,
    OutputMissing,
    OutputNotAllowed,
    OutputUnreadable,
    PromptRefusedError,
)
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt

CHUNK = 256 * 1024
"""Bytes that are read from a download at once."""
REFUSED_FILES = {404: OutputMissing, 400: OutputNotAllowed, 403: OutputNotAllowed}
"""Errors for the statuses of `GET /view` for a file that a node has reported."""
REFUSED_INPUTS = frozenset({400, 403, 413, 500})
"""Statuses with which `POST /upload/image` rejects a file. It returns 500 for a name that its disk rejects."""
PAGES = frozenset({"text/html", "application/json"})
"""Types of responses that a proxy sends instead of a file. ComfyUI itself sends no HTML for a file."""


class PromptStatus(StrEnum):
    """State of a prompt in ComfyUI. ABSENT prompts were deleted, or lost in a restart."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class LocatedPrompt:
    """The state of a prompt, with the history entry of one that has ended."""

    status: PromptStatus
    history: HistoryEntry | None


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """The state of the queue. Without a running prompt, `running` is None, and `classes` and `client_id` are empty.

    `classes` are those of the running prompt's nodes, by node id. `pending` is the number of waiting prompts.
    """

    running: str | None
    classes: Mapping[str, str]
    client_id: str
    pending: int


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file by ComfyUI's names. `folder` is output, temp or input, and `subfolder` is relative to it, with slashes."""

    filename: str
    subfolder: str = ""
    folder: str = "output"


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """Options of a submission.

    `extra_data` goes to ComfyUI with the prompt, with secrets as `SecretStr`. `targets` are the output nodes that run,
    None for all. With `first` the prompt runs before the waiting ones.
    """

    extra_data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    targets: tuple[str, ...] | None = None
    first: bool = False


DEFAULT_OPTIONS = SubmitOptions()


def read_object_info(data: bytes) -> Catalog:
    """Return the catalog of a response of `GET /object_info`. Raises UnexpectedShape and JSONDecodeError."""
    if not (classes := require_object(orjson.loads(data))):
        raise UnexpectedShape("it has no node class")
    catalog = Catalog.from_object_info({name: dict(require_object(info)) for name, info in classes.items()})
    return catalog.without_job_folders()


class ComfyApi:
    """ComfyUI's HTTP API. Each call raises EngineUnavailable when ComfyUI does not respond in time."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url.rstrip("/")

    async def submit(
        self, prompt: Prompt, prompt_id: str, client_id: str, options: SubmitOptions = DEFAULT_OPTIONS
    ) -> None:
        """Queue a prompt. Raises PromptRefusedError, also when ComfyUI accepts only a part of it.

        The secrets in `options` are revealed in this request only.
        """
        body: dict[str, Any] = {"prompt": prompt, "prompt_id": prompt_id, "client_id": client_id}
        if options.extra_data:
            body["extra_data"] = {name: revealed(value) for name, value in options.extra_data.items()}
        if options.targets is not None:
            body["partial_execution_targets"] = options.targets
        if options.first:
            body["front"] = True
        status, answer = await self._post("/prompt", body)
        if status == 500:
            # ComfyUI 0.33 fails before queueing when a node without `_meta` has a class that it replaces.
            nodes = {node_id: {"_meta": {}, **node} for node_id, node in prompt.items()}
            status, answer = await self._post("/prompt", {**body, "prompt": nodes})
            if status == 500:
                raise PromptRefusedError({}, {})
        with checked_shape("POST /prompt"):
            refusal = read_submission(status, answer)
        if refusal is not None:
            raise PromptRefusedError(refusal.error, refusal.node_errors)

    async def cancel(self, prompt_id: str) -> None:
        """Remove a prompt that is queued, or interrupt it. A prompt that has ended stays as it is."""
        status, _ = await self._post(f"/api/jobs/{prompt_id}/cancel", {})
        if status in {404, 405}:  # ComfyUI before 0.33. In this order, a prompt that starts in between is interrupted.
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def locate(self, prompt_id: str) -> LocatedPrompt:
        """Return the state of a prompt. The queue is read first, because prompts move from the queue to the history."""
        with checked_shape("GET /queue"):
            running, pending = read_queue(await self._get("/queue"))
        for status, items in ((PromptStatus.RUNNING, running), (PromptStatus.PENDING, pending)):
            if any(item.prompt_id == prompt_id for item in items):
                return LocatedPrompt(status, None)
        with checked_shape("GET /history"):
            entry = read_history(await self._get(f"/history/{prompt_id}", read=parse_json), prompt_id)
        return LocatedPrompt(PromptStatus.ENDED if entry else PromptStatus.ABSENT, entry)

    async def poll_queue(self, timeout_s: float) -> QueueSnapshot | None:
        """Return the state of the queue, or None when nothing listens because ComfyUI has ended or is starting."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            answer = await self._get("/queue", timeout)
        except EngineUnavailable as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                return None
            raise
        with checked_shape("GET /queue"):
            running, pending = read_queue(answer)
        if not running:
            return QueueSnapshot(None, {}, "", len(pending))
        return QueueSnapshot(running[0].prompt_id, running[0].classes, running[0].client_id, len(pending))

    async def free(self) -> None:
        """Request that ComfyUI unloads models and cached results. It does so between two prompts."""
        await self._post("/free", {"unload_models": True, "free_memory": True})

    async def gpu_works(self) -> bool:
        """Return whether ComfyUI can use its GPU. After an illegal memory access, every CUDA call fails (500)."""
        try:
            async with self._session.get(self.base_url + "/system_stats", timeout=QUICK) as answer:
                return answer.status != 500
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable("ComfyUI does not respond to GET /system_stats") from error

    async def upload(self, folder: str, name: str, data: bytes | BinaryIO) -> str:
        """Store an input file, and return the name that nodes must use, which ComfyUI may choose."""
        # Not quoted: ComfyUI would store a percent-encoded name literally (protocol reference, section 8).
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", data, filename=name)
        form.add_field("subfolder", folder)
        form.add_field("overwrite", "true")
        try:
            async with self._session.post(self.base_url + "/upload/image", data=form, timeout=FILES) as answer:
                if answer.status in REFUSED_INPUTS:
                    raise InvalidInputFile(f"ComfyUI rejects the input file {name!r} (HTTP {answer.status})")
                if answer.status != 200:
                    raise EngineUnavailable(f"POST /upload/image of {name!r} returned HTTP {answer.status}")
                with checked_shape("POST /upload/image"):
                    return read_upload(orjson.loads(await read_body(answer)))
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            raise EngineUnavailable(f"ComfyUI did not take the input file {name!r}") from error

    async def download(self, file: FileRef, target: Path) -> None:
        """Stream a file to `target`. Raises OutputMissing, OutputNotAllowed and OutputUnreadable."""
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.folder}
        try:
            async with self._session.get(self.base_url + "/view", params=params, timeout=FILES) as answer:
                if answer.status != 200:
                    error_class = REFUSED_FILES.get(answer.status, OutputUnreadable)
                    raise error_class(
                        f"ComfyUI reported {file.filename!r}, but GET /view returned HTTP {answer.status}"
                    )
                expected_type, _ = guess_type(file.filename)
                if answer.content_type in PAGES - {expected_type}:
                    raise EngineUnavailable(
                        f"GET /view returned {answer.content_type} instead of the file {file.filename!r}"
                    )
                with target.open("wb") as sink:
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        sink.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI did not send {file.filename!r}") from error

    async def info(self) -> EngineInfo:
        """Return the facts of `GET /system_stats`."""
        with checked_shape("GET /system_stats"):
            return read_info(await self._get("/system_stats"))

    async def catalog(self, read: Callable[[bytes], Catalog] = read_object_info) -> Catalog:
        """Return the catalog of all node classes.

        `read` parses the response, and may raise UnexpectedShape and JSONDecodeError.
        """
        with checked_shape("GET /object_info"):
            catalog: Catalog = await self._get("/object_info", CATALOG, read)
            return catalog

    async def node_class(self, name: str) -> JsonObject | None:
        """Return one class of the catalog, or None if ComfyUI has no class of this name."""
        try:
            answer = await self._get(f"/object_info/{quote(name, safe='')}")
        except EngineUnavailable as error:
            if isinstance(error.__cause__, aiohttp.ClientResponseError) and 400 <= error.__cause__.status < 500:
                return None
            raise
        with checked_shape("GET /object_info"):
            info = require_object(answer).get(name)
        return info if isinstance(info, dict) else None

    async def get_json(self, path: str) -> Any:  # noqa: ANN401 - JSON
        """Return the response of a route that clients may read as it is."""
        return await self._get(quote(path), read=parse_json)

    async def _get(
        self, path: str, timeout: aiohttp.ClientTimeout = QUICK, read: Callable[[bytes], Any] = orjson.loads
    ) -> Any:  # noqa: ANN401 - JSON
        """Return the body of a GET request, parsed by `read`. `path` is quoted. Raises EngineUnavailable."""
        try:
            async with self._session.get(URL(self.base_url + path, encoded=True), timeout=timeout) as answer:
                answer.raise_for_status()
                with checked_shape(f"GET {path}"):
                    return read(await read_body(answer))
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise EngineUnavailable(f"ComfyUI does not respond to GET {path}") from error

    async def _post(self, path: str, body: object) -> tuple[int, object]:
        """Return status and parsed body of a POST request. The body is None if it is not JSON, as on most routes.

        Raises EngineUnavailable.
        """
        try:
            async with self._session.post(self.base_url + path, data=request_body(body), timeout=QUICK) as answer:
                with checked_shape(f"POST {path}"):
                    status, text = answer.status, await read_body(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI does not respond to POST {path}") from error
        try:
            return status, orjson.loads(text)
        except orjson.JSONDecodeError:
            return status, None
