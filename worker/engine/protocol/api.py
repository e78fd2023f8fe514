"""ComfyUI's HTTP routes, as far as a worker needs them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from io import BytesIO
from mimetypes import guess_type
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import aiohttp
import orjson
from pydantic import SecretStr
from yarl import URL

from worker.engine.protocol.messages import UnexpectedShape, parse_json, require_object
from worker.engine.protocol.reading import CATALOG, FILES, QUICK, checked_shape, read_body
from worker.engine.protocol.responses import (
    HistoryEntry,
    read_history,
    read_queue,
    read_stats,
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
from worker.simulators.comfyui import STRICT_OPTION
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt

CHUNK = 256 * 1024
LARGE = 1024 * 1024

REFUSED_FILES = {404: OutputMissing, 400: OutputNotAllowed, 403: OutputNotAllowed}
"""What the statuses of `GET /view` mean for a file that a node has reported."""
REFUSED_INPUTS = frozenset({400, 403, 413, 500})
"""By which `POST /upload/image` refuses a file; it answers 500 to a name that its disk does not take."""
PAGES = frozenset({"text/html", "application/json"})
"""Types of what a proxy answers in ComfyUI's place. ComfyUI itself never sends the former for a file."""


class PromptStatus(StrEnum):
    """Where a prompt is. ABSENT: ComfyUI doesn't know it (deleted, or forgotten in a restart)."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class LocatedPrompt:
    """`history` is the entry of an ended prompt."""

    place: PromptStatus
    history: HistoryEntry | None


@dataclass(frozen=True, slots=True)
class QueueSnapshot:
    """What runs: its id, the classes of its nodes by node id, and the client that hears its frames. How many wait."""

    running: str | None
    classes: Mapping[str, str]
    client_id: str
    pending: int


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What `/system_stats` says of the engine.

    `embedded` is true for the engine without a GPU, `lenient` where that takes every model for present.
    """

    version: str
    device: str
    embedded: bool
    lenient: bool = False


@dataclass(frozen=True, slots=True)
class FileRef:
    """A file as ComfyUI names it: `folder` is output, temp or input; `subfolder` is relative to it, with slashes."""

    filename: str
    subfolder: str = ""
    folder: str = "output"


@dataclass(frozen=True, slots=True)
class SubmitOptions:
    """How a prompt is submitted.

    `extra_data` is what goes to ComfyUI beside it, with secrets as such. `targets` are the output nodes that run, with
    what they need; None for all. `first`: before the prompts that wait.
    """

    extra_data: Mapping[str, Any] = field(default_factory=dict, repr=False)
    targets: tuple[str, ...] | None = None
    first: bool = False


DEFAULT_OPTIONS = SubmitOptions()


def read_object_info(data: bytes) -> Catalog:
    """Parse the answer of `GET /object_info`. Raises UnexpectedShape and JSONDecodeError."""
    if not (classes := require_object(orjson.loads(data))):
        raise UnexpectedShape("it has no class of nodes")
    catalog = Catalog.from_object_info({name: dict(require_object(info)) for name, info in classes.items()})
    return catalog.without_job_folders()


class ComfyApi:
    """Raises EngineUnavailable wherever ComfyUI can't be reached or doesn't answer in time."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url.rstrip("/")

    async def submit(
        self, prompt: Prompt, prompt_id: str, client_id: str, options: SubmitOptions = DEFAULT_OPTIONS
    ) -> None:
        """Queue a prompt. Raises PromptRefusedError, also where ComfyUI takes it in part: 200, with outputs dropped.

        The secrets in `options` are revealed here, and nowhere before.
        """
        body: dict[str, Any] = {"prompt": prompt, "prompt_id": prompt_id, "client_id": client_id}
        if options.extra_data:
            body["extra_data"] = {name: _revealed(value) for name, value in options.extra_data.items()}
        if options.targets is not None:
            body["partial_execution_targets"] = options.targets
        if options.first:
            body["front"] = True
        status, answer = await self._post("/prompt", body)
        if status == 500:
            # Before it queues anything, 0.33 trips over a node without `_meta` whose class it would have replaced.
            nodes = {node_id: {"_meta": {}, **node} for node_id, node in prompt.items()}
            status, answer = await self._post("/prompt", {**body, "prompt": nodes})
            if status == 500:
                raise PromptRefusedError({}, {})
        with checked_shape("POST /prompt"):
            refusal = read_submission(status, answer)
        if refusal is not None:
            raise PromptRefusedError(refusal.error, refusal.node_errors)

    async def cancel(self, prompt_id: str) -> None:
        """Take exactly this prompt out, queued or running; one that has ended is left alone."""
        status, _ = await self._post(f"/api/jobs/{prompt_id}/cancel", {})
        if status in {404, 405}:  # before 0.33: in this order, so that one that starts in between is still caught
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def locate(self, prompt_id: str) -> LocatedPrompt:
        """Queue first, then history: ComfyUI moves a prompt from one to the other in one step, so none is missed."""
        with checked_shape("GET /queue"):
            running, pending = read_queue(await self._get("/queue"))
        for place, items in ((PromptStatus.RUNNING, running), (PromptStatus.PENDING, pending)):
            if any(item.prompt_id == prompt_id for item in items):
                return LocatedPrompt(place, None)
        with checked_shape("GET /history"):
            entry = read_history(await self._get(f"/history/{prompt_id}", read=parse_json), prompt_id)
        return LocatedPrompt(PromptStatus.ENDED if entry else PromptStatus.ABSENT, entry)

    async def poll_queue(self, timeout_s: float) -> QueueSnapshot | None:
        """What ComfyUI is doing; None where nobody listens: it has ended, or is starting."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            answer = await self._get("/queue", timeout)
        except EngineUnavailable as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                return None
            raise
        with checked_shape("GET /queue"):
            running, pending = read_queue(answer)
        for item in running:
            return QueueSnapshot(item.prompt_id, item.classes, item.client_id, len(pending))
        return QueueSnapshot(None, {}, "", len(pending))

    async def free(self) -> None:
        """Let go of models and cached results; done between two jobs."""
        await self._post("/free", {"unload_models": True, "free_memory": True})

    async def gpu_answers(self) -> bool:
        """False where ComfyUI can't look at its GPU any more: after an illegal access every call raises, for ever.

        Raises EngineUnavailable.
        """
        try:
            async with self._session.get(self.base_url + "/system_stats", timeout=QUICK) as answer:
                return answer.status != 500
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable("ComfyUI does not answer GET /system_stats") from error

    async def upload(self, folder: str, name: str, data: bytes | BinaryIO) -> str:
        """Store an input file; returns the name that nodes must use (ComfyUI may choose another)."""
        # Not quoted: ComfyUI would store a percent-encoded name literally (protocol reference, section 8).
        form = aiohttp.FormData(quote_fields=False)
        form.add_field("image", data, filename=name)
        form.add_field("subfolder", folder)
        form.add_field("overwrite", "true")
        try:
            async with self._session.post(self.base_url + "/upload/image", data=form, timeout=FILES) as answer:
                if answer.status in REFUSED_INPUTS:
                    raise InvalidInputFile(f"ComfyUI refuses the input file {name!r} (HTTP {answer.status})")
                if answer.status != 200:
                    raise EngineUnavailable(f"POST /upload/image of {name!r} was answered by HTTP {answer.status}")
                with checked_shape("POST /upload/image"):
                    return read_upload(orjson.loads(await read_body(answer)))
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            raise EngineUnavailable(f"ComfyUI did not take the input file {name!r}") from error

    async def download(self, file: FileRef, target: Path) -> None:
        """Stream a file of ComfyUI's to `target`, never whole in memory.

        Raises OutputMissing, OutputNotAllowed and OutputUnreadable.
        """
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.folder}
        try:
            async with self._session.get(self.base_url + "/view", params=params, timeout=FILES) as answer:
                if answer.status != 200:
                    kind = REFUSED_FILES.get(answer.status, OutputUnreadable)
                    raise kind(f"ComfyUI reported {file.filename!r} and answers GET /view with HTTP {answer.status}")
                if answer.content_type in PAGES - {guess_type(file.filename)[0]}:
                    raise EngineUnavailable(f"a page was sent in place of {file.filename!r}: {answer.content_type}")
                with target.open("wb") as sink:
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        sink.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI did not send {file.filename!r}") from error

    async def info(self) -> EngineInfo:
        with checked_shape("GET /system_stats"):
            stats = read_stats(await self._get("/system_stats"))
        embedded = "embedded engine" in stats.device
        return EngineInfo(stats.version, stats.device, embedded, embedded and STRICT_OPTION not in stats.argv)

    async def catalog(self, read: Callable[[bytes], Catalog] = read_object_info) -> Catalog:
        """Every node class. `read` parses the answer; it raises UnexpectedShape and JSONDecodeError."""
        with checked_shape("GET /object_info"):
            catalog: Catalog = await self._get("/object_info", CATALOG, read)
            return catalog

    async def node_class(self, name: str) -> JsonObject | None:
        """One class of the catalog; None where there is none of this name, which may be one that no route takes."""
        try:
            answer = await self._get(f"/object_info/{quote(name, safe='')}")
        except EngineUnavailable as error:
            if isinstance(error.__cause__, aiohttp.ClientResponseError) and 400 <= error.__cause__.status < 500:
                return None
            raise
        with checked_shape("GET /object_info"):
            info = require_object(answer).get(name)
        return info if isinstance(info, dict) else None

    async def _get(
        self, path: str, timeout: aiohttp.ClientTimeout = QUICK, read: Callable[[bytes], Any] = orjson.loads
    ) -> Any:  # noqa: ANN401 - JSON
        try:
            async with self._session.get(URL(self.base_url + path, encoded=True), timeout=timeout) as answer:
                answer.raise_for_status()
                with checked_shape(f"GET {path}"):
                    return read(await read_body(answer))
        except (aiohttp.ClientError, TimeoutError, ValueError, RecursionError) as error:
            raise EngineUnavailable(f"ComfyUI does not answer GET {path}") from error

    async def _post(self, path: str, body: object) -> tuple[int, object]:
        """Status and JSON body; None for a body that is empty or no JSON (most POST routes answer so)."""
        try:
            async with self._session.post(self.base_url + path, data=_payload(body), timeout=QUICK) as answer:
                with checked_shape(f"POST {path}"):
                    status, text = answer.status, await read_body(answer)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI does not answer POST {path}") from error
        try:
            return status, orjson.loads(text)
        except orjson.JSONDecodeError:
            return status, None


def _revealed(value: object) -> object:
    return value.get_secret_value() if isinstance(value, SecretStr) else value


def _payload(body: object) -> bytes | BytesIO:
    """A large body as a file, which aiohttp sends piece by piece without blocking the loop."""
    data = orjson.dumps(body)
    return BytesIO(data) if len(data) > LARGE else data
