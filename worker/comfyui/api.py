"""ComfyUI's HTTP routes, as far as a worker needs them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import quote

import aiohttp
import orjson
from yarl import URL

from worker.comfyui.embedded import STRICT
from worker.comfyui.messages import ExecutionError, execution_error
from worker.errors import EngineUnavailable, InvalidInputFile, OutputMissing
from worker.graph.catalog import Catalog
from worker.graph.json_value import JsonObject
from worker.graph.prompt import Prompt

QUICK = aiohttp.ClientTimeout(total=10)
"""For routes that answer at once. A cold model load has held ComfyUI's event loop for seconds."""
SLOW = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=60)
CHUNK = 256 * 1024
LARGE = 1024 * 1024


class Place(StrEnum):
    """Where a prompt is. ABSENT: ComfyUI doesn't know it (deleted, or forgotten in a restart)."""

    PENDING = "pending"
    RUNNING = "running"
    ENDED = "ended"
    ABSENT = "absent"


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """`history` is the entry of an ended prompt."""

    place: Place
    history: dict[str, Any]

    @property
    def outputs(self) -> dict[str, dict[str, Any]]:
        return {node: output or {} for node, output in self.history.get("outputs", {}).items()}

    @property
    def error(self) -> ExecutionError | None:
        for name, data in self.history.get("status", {}).get("messages", ()):
            if name == "execution_error":
                return execution_error(data)
        return None

    @property
    def interrupted(self) -> bool:
        return any(name == "execution_interrupted" for name, _ in self.history.get("status", {}).get("messages", ()))


@dataclass(frozen=True, slots=True)
class QueueLook:
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


class PromptRefusedError(Exception):
    """ComfyUI's own words on why it won't run a prompt, or won't run all of it."""

    def __init__(self, error: Mapping[str, Any], node_errors: Mapping[str, Any]) -> None:
        super().__init__(error.get("message", "refused"))
        self.error = error
        self.node_errors = node_errors


class ComfyApi:
    """Raises EngineUnavailable wherever ComfyUI can't be reached or doesn't answer in time."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str) -> None:
        self._session = session
        self.base_url = base_url.rstrip("/")

    async def submit(self, prompt: Prompt, prompt_id: str, client_id: str) -> None:
        """Queue a prompt. Raises PromptRefusedError, also where ComfyUI takes it in part: 200, with outputs dropped."""
        body = {"prompt": prompt, "prompt_id": prompt_id, "client_id": client_id}
        status, answer = await self._post("/prompt", body)
        if status == 500:
            # Before it queues anything, 0.33 trips over a node without `_meta` whose class it would have replaced.
            nodes = {node_id: {"_meta": {}, **node} for node_id, node in prompt.items()}
            status, answer = await self._post("/prompt", {**body, "prompt": nodes})
        problems = answer.get("node_errors") or {}
        if status == 200 and not problems:
            return
        raise PromptRefusedError(answer.get("error") or {}, problems)

    async def cancel(self, prompt_id: str) -> None:
        """Take exactly this prompt out, queued or running; one that has ended is left alone."""
        status, _ = await self._post(f"/api/jobs/{prompt_id}/cancel", {})
        if status in {404, 405}:  # before 0.33: in this order, so that one that starts in between is still caught
            await self._post("/queue", {"delete": [prompt_id]})
            await self._post("/interrupt", {"prompt_id": prompt_id})

    async def locate(self, prompt_id: str) -> Whereabouts:
        """Queue first, then history: ComfyUI moves a prompt from one to the other in one step, so none is missed."""
        queue = await self._get("/queue")
        running, pending = queue["queue_running"], queue["queue_pending"]
        for place, items in ((Place.RUNNING, running), (Place.PENDING, pending)):
            if any(item[1] == prompt_id for item in items):
                return Whereabouts(place, {})
        entry = (await self._get(f"/history/{prompt_id}")).get(prompt_id)
        return Whereabouts(Place.ENDED if entry else Place.ABSENT, entry or {})

    async def look(self, timeout_s: float) -> QueueLook | None:
        """What ComfyUI is doing; None where nobody listens: it has ended, or is starting."""
        timeout = aiohttp.ClientTimeout(total=timeout_s)
        try:
            queue = await self._get("/queue", timeout)
        except EngineUnavailable as error:
            if isinstance(error.__cause__, aiohttp.ClientConnectorError):
                return None
            raise
        pending = len(queue["queue_pending"])
        for _, prompt_id, prompt, extra_data, *_ in queue["queue_running"]:
            classes = {node_id: node["class_type"] for node_id, node in prompt.items()}
            return QueueLook(prompt_id, classes, extra_data.get("client_id", ""), pending)
        return QueueLook(None, {}, "", pending)

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
            async with self._session.post(self.base_url + "/upload/image", data=form, timeout=SLOW) as answer:
                if answer.status != 200:
                    raise InvalidInputFile(f"ComfyUI refuses the input file {name!r} (HTTP {answer.status})")
                stored = orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI did not take the input file {name!r}") from error
        return "/".join(part for part in (stored["subfolder"], stored["name"]) if part)

    async def download(self, file: FileRef, target: Path) -> None:
        """Stream a file of ComfyUI's to `target`, never whole in memory. Raises OutputMissing."""
        params = {"filename": file.filename, "subfolder": file.subfolder, "type": file.folder}
        try:
            async with self._session.get(self.base_url + "/view", params=params, timeout=SLOW) as answer:
                if answer.status != 200:
                    raise OutputMissing(f"ComfyUI reported {file.filename!r} but does not have it")
                with target.open("wb") as sink:
                    async for chunk in answer.content.iter_chunked(CHUNK):
                        sink.write(chunk)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI did not send {file.filename!r}") from error

    async def info(self) -> EngineInfo:
        stats = await self._get("/system_stats")
        device = stats["devices"][0]["name"] if stats.get("devices") else "none"
        system, embedded = stats["system"], "embedded engine" in device
        lenient = embedded and STRICT not in system.get("argv", ())
        return EngineInfo(system["comfyui_version"], device, embedded, lenient)

    async def catalog(self) -> Catalog:
        return Catalog.from_object_info(await self._get("/object_info", SLOW))

    async def node_class(self, name: str) -> JsonObject | None:
        """One class of the catalog; None where there is none of this name."""
        found: JsonObject = await self._get(f"/object_info/{quote(name, safe='')}")
        info = found.get(name)
        return info if isinstance(info, dict) else None

    async def _get(self, path: str, timeout: aiohttp.ClientTimeout = QUICK) -> Any:  # noqa: ANN401 - JSON
        try:
            async with self._session.get(URL(self.base_url + path, encoded=True), timeout=timeout) as answer:
                answer.raise_for_status()
                return orjson.loads(await answer.read())
        except (aiohttp.ClientError, TimeoutError, orjson.JSONDecodeError) as error:
            raise EngineUnavailable(f"ComfyUI does not answer GET {path}") from error

    async def _post(self, path: str, body: object) -> tuple[int, dict[str, Any]]:
        """Status and body; an empty or unreadable body is an empty object (most POST routes answer so)."""
        try:
            async with self._session.post(self.base_url + path, data=_payload(body), timeout=QUICK) as answer:
                status, text = answer.status, await answer.read()
        except (aiohttp.ClientError, TimeoutError) as error:
            raise EngineUnavailable(f"ComfyUI does not answer POST {path}") from error
        try:
            return status, orjson.loads(text)
        except orjson.JSONDecodeError:
            return status, {}


def _payload(body: object) -> bytes | BytesIO:
    """A large body as a file, which aiohttp sends piece by piece without blocking the loop."""
    data = orjson.dumps(body)
    return BytesIO(data) if len(data) > LARGE else data
