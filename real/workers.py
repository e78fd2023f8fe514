"""The workers of a run: one asked directly, one behind Vast's router played here, one on the embedded engine."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import orjson

from real.engine_log import RecorderLog
from real.media import MEDIA
from real.recorder import EventRecorder
from real.recording_relay import RecordingRelay
from worker.cli.hosting.environment import without_settings
from worker.engine.process.free_port import free_port
from worker.platforms.vast.client import VastEndpoint
from worker.simulators.vast_router import ReportLog
from worker.simulators.vast_router.local_fleet import start_fleet, stop_process
from worker.subcommand import worker_command

PACKS = Path(__file__).parent / "custom_nodes"
START_S, KNOCK_S, STOP_S = 300.0, 0.1, 40.0
RESULT_LIFE_S = 2.0
"""Short, so that a repeated request finds the results of the one before expired."""
SHARED_FILES = {"picture.png": "picture", "words.txt": "words"}
SETTINGS = {"WORKER_INPUT_FOLDERS": "input/shared", "WORKER_INLINE_MAX_MIB": "512"}
"""A saved VAE has 320 MiB."""
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "YOLO_AUTOINSTALL": "false",
    "PIP_NO_INDEX": "1",
}
"""No pack installs or fetches anything while the suite runs."""


class NotStarted(Exception):
    """A process ended, or did not answer; the message names its log."""


@dataclass(frozen=True, slots=True)
class RealComfyUI:
    """A folder with main.py, custom_nodes/ and .venv/; `models` is a folder with more models, or None."""

    folder: Path
    arguments: str = "--cpu"
    models: Path | None = None

    def env(self, state: Path) -> dict[str, str]:
        """Settings of a worker that starts it with the recorder inside, below `state`."""
        state.mkdir(parents=True, exist_ok=True)
        fill(state / "comfyui")
        paths = state / "recorder.yaml"
        paths.write_bytes(orjson.dumps({"recorder": {"custom_nodes": str(PACKS)}}))  # JSON is YAML
        env = {
            "WORKER_COMFYUI": str(self.folder),
            "WORKER_COMFYUI_ARGS": f"{self.arguments} --extra-model-paths-config {paths}",
            "WORKER_ENGINE_START": f"{START_S:g}",
            "WORKER_SANDBOX": "required",
            "WORKER_SANDBOX_READ": str(PACKS.parent),
            **SETTINGS,
            **OFFLINE,
        }
        return env | ({"WORKER_MODELS_FOLDER": str(self.models)} if self.models else {})


@dataclass(frozen=True, slots=True)
class RunningWorker:
    """A worker that is ready.

    `url` is its gateway, `output` and `temp` are its engine's folders, `engine` is the address of an embedded engine.
    """

    url: str
    log: RecorderLog
    output: Path
    temp: Path
    engine: str = ""

    @property
    def folders(self) -> dict[str, Path]:
        """Those that a workflow may name: where savers write, and where the operator keeps files for all."""
        return {"output": self.output, "shared": shared(self.output.parent)}

    def left(self) -> list[str]:
        """Files that lie in the engine's folders."""
        folders = (self.output, self.temp)
        return [
            path.relative_to(folder).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()
        ]


def shared(root: Path) -> Path:
    """The folder that WORKER_INPUT_FOLDERS opens, below an engine's own."""
    return root / "input" / "shared"


def fill(root: Path) -> None:
    """Put files into the shared folder."""
    folder = shared(root)
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in SHARED_FILES.items():
        (folder / name).write_bytes(MEDIA[source]())


@asynccontextmanager
async def direct(comfyui: RealComfyUI, folder: Path) -> AsyncIterator[RunningWorker]:
    """A worker that starts ComfyUI and is asked at its gateway. Raises NotStarted."""
    state = folder / "direct"
    env = {**comfyui.env(state), "WORKER_RESULT_TTL": f"{RESULT_LIFE_S:g}"}
    async with _worker(state, env) as url:
        yield _stage(url, state)


@asynccontextmanager
async def embedded(catalog: Path | None, folder: Path) -> AsyncIterator[RunningWorker]:
    """A worker before the embedded engine, which has the real one's catalog. Raises NotStarted."""
    state, base = folder / "embedded", folder / "engine"
    for name in ("output", "temp", "input"):
        (base / name).mkdir(parents=True, exist_ok=True)
    fill(base)
    recorded = folder / "recorder.jsonl"
    port = free_port()
    options = ["--port", str(port), "--base", str(base), *(("--catalog", str(catalog)) if catalog else ())]
    recorder = EventRecorder(recorded, {"output": base / "output", "temp": base / "temp"})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _process(["engine", *options], folder / "engine.log", {}, f"http://127.0.0.1:{port}/prompt")
        )
        tap = await stack.enter_async_context(RecordingRelay(f"http://127.0.0.1:{port}", recorder))
        env = {
            "WORKER_COMFYUI": tap.url,
            "WORKER_COMFYUI_OUTPUT": str(base / "output"),
            "WORKER_COMFYUI_INPUT": str(base / "input"),
            "WORKER_RESULT_TTL": f"{RESULT_LIFE_S:g}",
            **SETTINGS,
        }
        url = await stack.enter_async_context(_worker(state, env))
        yield RunningWorker(url, RecorderLog(recorded), base / "output", base / "temp", f"http://127.0.0.1:{port}")


@asynccontextmanager
async def behind_vast(
    comfyui: RealComfyUI, folder: Path
) -> AsyncIterator[tuple[RunningWorker, VastEndpoint, ReportLog]]:
    """A worker that starts ComfyUI, behind Vast's SDK and its router, played here, and Vast's own client."""
    state = folder / "vast"
    command = ["serve", "--platform", "vast", "--host", "127.0.0.1", "--port", "0", "--state", str(state)]
    env = {**without_settings(os.environ), **comfyui.env(state), "WORKER_BENCHMARK_RUNS": "1"}
    async with start_fleet([command], env, logs=folder) as found:
        await found.ready(START_S)
        async with found.vast.client() as client:
            endpoint = VastEndpoint(client, await client.get_endpoint(found.vast.endpoint))
            yield _stage("", state), endpoint, found.vast.record


def _stage(url: str, state: Path) -> RunningWorker:
    root = state / "comfyui"
    return RunningWorker(url, RecorderLog(root / "user" / "recorder.jsonl"), root / "output", root / "temp")


@asynccontextmanager
async def _worker(state: Path, env: Mapping[str, str]) -> AsyncIterator[str]:
    """`comfy-worker serve` until it is ready; yields its address."""
    port = free_port()
    settings = {"WORKER_STATE": str(state), "WORKER_GATEWAY_PORT": str(port), **env}
    url = f"http://127.0.0.1:{port}"
    log = state.with_suffix(".log")
    async with _process(["serve"], log, settings, f"{url}/ready"):
        yield url


@asynccontextmanager
async def _process(command: list[str], log: Path, env: Mapping[str, str], knock: str) -> AsyncIterator[None]:
    """A command of this worker, once `knock` answers 200; ended with the context."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *worker_command(*command), env={**without_settings(os.environ), **env}, stdout=sink, stderr=sink
        )
    try:
        await _answering(knock, process, log)
        yield
    finally:
        await stop_process(process, STOP_S)


async def _answering(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_S / KNOCK_S)):
            if process.returncode is not None:
                raise NotStarted(f"it ended with {process.returncode}: see {log}")
            try:
                async with session.get(url) as answer:
                    if answer.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(KNOCK_S)
    raise NotStarted(f"{url} did not answer 200 within {START_S:g} s: see {log}")
