"""The workers of a run: one called directly, one behind the simulated Vast router, one with the embedded engine."""

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
START_S, POLL_S, STOP_S = 300.0, 0.1, 40.0
RESULT_LIFE_S = 2.0
"""Seconds until results expire. They are few, so that a repeated request runs after the expiry of the first results."""
SHARED_FILES = {"picture.png": "picture", "words.txt": "words"}
SETTINGS = {"WORKER_INPUT_FOLDERS": "input/shared", "WORKER_INLINE_MAX_MIB": "512"}
"""Settings of all workers. The limit for inline outputs is raised because a saved VAE has 320 MiB."""
OFFLINE = {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "DO_NOT_TRACK": "1",
    "YOLO_AUTOINSTALL": "false",
    "PIP_NO_INDEX": "1",
}
"""Environment variables that keep node packs from downloading or installing anything."""


class NotStarted(Exception):
    """A process of the suite ended or did not become ready. The message names its log."""


@dataclass(frozen=True, slots=True)
class RealComfyUI:
    """A ComfyUI in a folder with main.py, custom_nodes/ and .venv/. `models` is an additional folder of models."""

    folder: Path
    arguments: str = "--cpu"
    models: Path | None = None

    def env(self, state: Path) -> dict[str, str]:
        """Return the settings of a worker that starts this ComfyUI with the recorder and keeps its state in `state`."""
        state.mkdir(parents=True, exist_ok=True)
        write_shared_files(state / "comfyui")
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

    `url` is its HTTP server. `output` and `temp` are the folders of its engine. `engine` is the URL of an embedded
    engine, or empty.
    """

    url: str
    log: RecorderLog
    output: Path
    temp: Path
    engine: str = ""

    @property
    def folders(self) -> dict[str, Path]:
        """The folders that a workflow may name: the output folder, and the shared folder of `WORKER_INPUT_FOLDERS`."""
        return {"output": self.output, "shared": shared_folder(self.output.parent)}

    def files(self) -> list[str]:
        """Return the paths of all files in the engine's output and temp folders."""
        folders = (self.output, self.temp)
        return [
            path.relative_to(folder).as_posix() for folder in folders for path in folder.rglob("*") if path.is_file()
        ]


def shared_folder(root: Path) -> Path:
    """Return the folder of WORKER_INPUT_FOLDERS below an engine's base folder."""
    return root / "input" / "shared"


def write_shared_files(root: Path) -> None:
    """Write the files of SHARED_FILES to the shared folder below an engine's base folder."""
    folder = shared_folder(root)
    folder.mkdir(parents=True, exist_ok=True)
    for name, source in SHARED_FILES.items():
        (folder / name).write_bytes(MEDIA[source]())


@asynccontextmanager
async def direct(comfyui: RealComfyUI, folder: Path) -> AsyncIterator[RunningWorker]:
    """Run a worker that starts ComfyUI and is called directly. Raises NotStarted."""
    state = folder / "direct"
    env = {**comfyui.env(state), "WORKER_RESULT_TTL": f"{RESULT_LIFE_S:g}"}
    async with _worker(state, env) as url:
        yield _running_worker(url, state)


@asynccontextmanager
async def embedded(catalog: Path | None, folder: Path) -> AsyncIterator[RunningWorker]:
    """Run a worker in front of an embedded engine with the given catalog, or its own. Raises NotStarted."""
    state, base = folder / "embedded", folder / "engine"
    for name in ("output", "temp", "input"):
        (base / name).mkdir(parents=True, exist_ok=True)
    write_shared_files(base)
    log = folder / "recorder.jsonl"
    port = free_port()
    options = ["--port", str(port), "--base", str(base), *(("--catalog", str(catalog)) if catalog else ())]
    recorder = EventRecorder(log, {"output": base / "output", "temp": base / "temp"})
    async with AsyncExitStack() as stack:
        await stack.enter_async_context(
            _process(["engine", *options], folder / "engine.log", {}, f"http://127.0.0.1:{port}/prompt")
        )
        relay = await stack.enter_async_context(RecordingRelay(f"http://127.0.0.1:{port}", recorder))
        env = {
            "WORKER_COMFYUI": relay.url,
            "WORKER_COMFYUI_OUTPUT": str(base / "output"),
            "WORKER_COMFYUI_INPUT": str(base / "input"),
            "WORKER_RESULT_TTL": f"{RESULT_LIFE_S:g}",
            **SETTINGS,
        }
        url = await stack.enter_async_context(_worker(state, env))
        yield RunningWorker(url, RecorderLog(log), base / "output", base / "temp", f"http://127.0.0.1:{port}")


@asynccontextmanager
async def behind_vast(
    comfyui: RealComfyUI, folder: Path
) -> AsyncIterator[tuple[RunningWorker, VastEndpoint, ReportLog]]:
    """Run a worker that starts ComfyUI, behind Vast's SDK and the simulated router, with Vast's own client.

    Yield the worker, the client's endpoint, and the log of the router.
    """
    state = folder / "vast"
    command = ["serve", "--platform", "vast", "--host", "127.0.0.1", "--port", "0", "--state", str(state)]
    env = {**without_settings(os.environ), **comfyui.env(state), "WORKER_BENCHMARK_RUNS": "1"}
    async with start_fleet([command], env, logs=folder) as local_fleet:
        await local_fleet.wait_until_ready(START_S)
        async with local_fleet.vast.client() as client:
            endpoint = VastEndpoint(client, await client.get_endpoint(local_fleet.vast.endpoint))
            yield _running_worker("", state), endpoint, local_fleet.vast.record


def _running_worker(url: str, state: Path) -> RunningWorker:
    """Return a worker whose state is in this folder."""
    root = state / "comfyui"
    return RunningWorker(url, RecorderLog(root / "user" / "recorder.jsonl"), root / "output", root / "temp")


@asynccontextmanager
async def _worker(state: Path, env: Mapping[str, str]) -> AsyncIterator[str]:
    """Start `comfy-worker serve`, wait until it is ready, and yield its URL."""
    port = free_port()
    settings = {"WORKER_STATE": str(state), "WORKER_GATEWAY_PORT": str(port), **env}
    url = f"http://127.0.0.1:{port}"
    log = state.with_suffix(".log")
    async with _process(["serve"], log, settings, f"{url}/ready"):
        yield url


@asynccontextmanager
async def _process(command: list[str], log: Path, env: Mapping[str, str], ready_url: str) -> AsyncIterator[None]:
    """Run a command of this worker. The context starts when `ready_url` returns 200, and its end stops the process."""
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *worker_command(*command), env={**without_settings(os.environ), **env}, stdout=sink, stderr=sink
        )
    try:
        await _wait_until_ready(ready_url, process, log)
        yield
    finally:
        await stop_process(process, STOP_S)


async def _wait_until_ready(url: str, process: asyncio.subprocess.Process, log: Path) -> None:
    """Wait until `url` returns 200. Raises NotStarted when the process ends or `START_S` has passed."""
    async with aiohttp.ClientSession() as session:
        for _ in range(int(START_S / POLL_S)):
            if process.returncode is not None:
                raise NotStarted(f"the process ended with exit status {process.returncode}. See {log}")
            try:
                async with session.get(url) as response:
                    if response.status == 200:
                        return
            except aiohttp.ClientError:
                pass
            await asyncio.sleep(POLL_S)
    raise NotStarted(f"{url} did not return 200 within {START_S:g} s. See {log}")
