"""Nodes of common packs that read and write paths, on a real ComfyUI, without the sandbox and inside it.

The test needs REAL_COMFYUI, a folder with main.py, .venv/ and the packs. `make real` sets it. The prompts are sent to
ComfyUI itself, because the worker would reject some of them.
"""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import uuid
import wave
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, chdir
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from PIL import Image

from worker.engine.config import EngineConfig, engine_configs
from worker.engine.process.supervisor import Supervisor
from worker.settings import Settings

COMFYUI = str(Path(folder).absolute()) if (folder := os.environ.get("REAL_COMFYUI")) else ""
pytestmark = [
    pytest.mark.skipif(not COMFYUI, reason="needs a real ComfyUI: make real COMFYUI=FOLDER"),
    pytest.mark.timeout(900),
]
WORD, COLOUR, SIZE = "canary-word", (201, 55, 123), (333, 77)
ENOUGH = 20
START_S, RUN_S = 300.0, 400.0


@dataclass(frozen=True)
class ForeignFiles:
    """Foreign files that nodes in the sandbox must not reach, and a foreign process."""

    foreign: Path
    state: Path
    pid: int

    @property
    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.foreign.rglob("*") if path.is_file()}


@dataclass(frozen=True)
class PathNode:
    """A class and its inputs. `{pictures}`, `{words}` and so on are replaced by folders of the foreign files."""

    class_type: str
    inputs: dict[str, Any] = field(default_factory=dict)
    writes: bool = False


WORDS = {"input_file_path": "{words}", "file_name": "canary", "file_extension": "txt"}
WRITTEN = {"output_file_path": "{target}", "file_name": "x", "file_extension": "txt"}
CASES = (
    PathNode("Load Text File", {"file_path": "{words}/canary.txt"}),
    PathNode("Load Text File", {"file_path": "/proc/{pid}/environ"}),
    PathNode("Load Text File", {"file_path": "{state}/journal.sqlite"}),
    PathNode("Load Text File", {"file_path": "{state}/comfyui-1/output/canary.txt"}),
    PathNode("Text Load Line From File", {"file_path": "{words}/canary.txt", "mode": "index"}),
    PathNode("Load Image Batch", {"path": "{pictures}"}),
    PathNode("Image Load", {"image_path": "{pictures}/canary-1.png"}),
    PathNode("Create Grid Image", {"images_path": "{pictures}"}),
    PathNode(
        "LoadImagesFromFolderKJ",
        {"folder": "{pictures}", "width": 333, "height": 77, "image_load_cap": 0, "start_index": 0},
    ),
    PathNode("LoadImagesFromDir //Inspire", {"directory": "{pictures}"}),
    PathNode("LoadImageListFromDir //Inspire", {"directory": "{pictures}"}),
    PathNode("VHS_LoadImagesPath", {"directory": "{pictures}"}),
    PathNode("VHS_LoadImagePath", {"image": "{pictures}/canary-1.png"}),
    PathNode("VHS_LoadVideoPath", {"video": "{moving}/canary.gif"}),
    PathNode("VHS_LoadVideoFFmpegPath", {"video": "{moving}/canary.gif"}),
    PathNode("VHS_LoadAudio", {"audio_file": "{sounds}/canary.wav"}),
    PathNode("CR Load Image List", {"input_path": "{pictures}"}),
    PathNode("CR Load Image List Plus", {"input_path": "{pictures}"}),
    PathNode("CR Load GIF As List", {"input_path": "{moving}", "gif_filename": "canary.gif"}),
    PathNode("CR Load Text List", WORDS),
    PathNode("CR Load Schedule From File", WORDS),
    PathNode("CR Font File List", {"source_folder": "from folder", "folder_path": "{fonts}"}),
    PathNode("easy loadImagesForLoop", {"directory": "{pictures}"}),
    PathNode("Save Text File", {"text": "x", "path": "{target}"}, writes=True),
    PathNode("Image Save", {"output_path": "{target}"}, writes=True),
    PathNode("Write to GIF", {"output_path": "{target}", "transition_frames": 2, "max_size": 128}, writes=True),
    PathNode("Create Morph Image", {"output_path": "{target}", "transition_frames": 2, "max_size": 128}, writes=True),
    PathNode(
        "Create Morph Image from Path",
        {"input_path": "{pictures}", "output_path": "{target}", "transition_frames": 2, "max_size": 128},
        writes=True,
    ),
    PathNode("Export API", {"output_path": "{target}"}, writes=True),
    PathNode("Cache Node", {"output_path": "{target}", "image": ["image", 0]}, writes=True),
    PathNode("SaveImageKJ", {"output_folder": "{target}"}, writes=True),
    PathNode("SaveStringKJ", {"string": "x", "output_folder": "{target}"}, writes=True),
    PathNode("CR Save Text To File", {"multiline_text": "x", **WRITTEN}, writes=True),
    PathNode("easy saveText", {"text": "x", **WRITTEN}, writes=True),
)


@pytest.fixture
def foreign_files(tmp_path: Path) -> Iterator[ForeignFiles]:
    """Write foreign files of every kind, and start a foreign process."""
    foreign, state = tmp_path / "foreign", tmp_path / "state"
    for folder in ("pictures", "words", "moving", "sounds", "fonts"):
        (foreign / folder).mkdir(parents=True)
    picture = Image.new("RGB", SIZE, COLOUR)
    for number in (1, 2):
        picture.save(foreign / f"pictures/canary-{number}.png")
    picture.save(
        foreign / "moving/canary.gif", save_all=True, append_images=[picture.point(lambda value: value - 1)] * 3
    )
    (foreign / "words/canary.txt").write_text(f"{WORD}, {WORD}\n")
    (foreign / "words\\canary.txt").write_text(f"{WORD}, {WORD}\n")  # as Comfyroll joins a folder and a name
    (foreign / f"fonts/{WORD}.ttf").write_bytes(b"")
    with wave.open(str(foreign / "sounds/canary.wav"), "wb") as sound:
        sound.setparams((1, 2, 8000, 0, "NONE", ""))
        sound.writeframes(b"\x11\x22" * 8000)
    (state / "comfyui-1/output").mkdir(parents=True)
    (state / "comfyui-1/output/canary.txt").write_text(WORD)
    (state / "journal.sqlite").write_text(WORD)
    process = subprocess.Popen(["/bin/sleep", "1000"], env={"WORKER_TOKENS": WORD})
    with chdir(tmp_path):  # some nodes take a path for one below the working directory
        yield ForeignFiles(foreign, state, process.pid)
    process.kill()
    process.wait()


@pytest.mark.parametrize("mode", ["off", "required"])
async def test_nodes_that_take_paths_reach_nothing_outside(mode: str, foreign_files: ForeignFiles) -> None:
    """At least 20 classes reach foreign files without the sandbox, and none does inside it. Every pack loads."""
    before = foreign_files.files
    provided = {"comfyui": COMFYUI, "comfyui_args": "--cpu", "state": foreign_files.state, "engine_start_s": START_S}
    settings = Settings.from_env({"WORKER_SANDBOX": mode}, **provided)
    async with _comfyui(settings) as (config, supervisor), aiohttp.ClientSession(config.url) as http:
        assert supervisor.failed_packs == ()
        reached = await _reached(http, foreign_files, config)
    print(mode, sorted(reached))
    if mode == "off":
        assert len(reached) >= ENOUGH
    else:
        assert reached == set()
        assert foreign_files.files == before


@asynccontextmanager
async def _comfyui(settings: Settings) -> AsyncIterator[tuple[EngineConfig, Supervisor]]:
    """Start the real ComfyUI as a worker starts it."""
    [config] = await engine_configs(settings)
    assert config.command is not None
    supervisor = Supervisor(config.command, settings.engine)
    keeping = asyncio.create_task(supervisor.keep_running())
    try:
        async with asyncio.timeout(START_S), aiohttp.ClientSession(config.url) as http:
            while not await _answers(http):
                assert not keeping.done(), keeping.exception()
                await asyncio.sleep(0.2)
        yield config, supervisor
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


async def _answers(http: aiohttp.ClientSession) -> bool:
    """Return whether ComfyUI responds."""
    try:
        async with http.get("/prompt") as answer:
            return answer.status == 200
    except aiohttp.ClientError:
        return False


async def _reached(http: aiohttp.ClientSession, foreign_files: ForeignFiles, config: EngineConfig) -> set[str]:
    """Run all classes one after the other, and return those that read a canary or wrote a foreign file."""
    async with http.get("/object_info") as answer:
        catalog = await answer.json()
    sent: dict[str, tuple[PathNode, Path]] = {}
    for number, case in enumerate(CASES):
        if case.class_type not in catalog:
            continue
        target = foreign_files.foreign / f"target-{number}"
        target.mkdir()
        prompt_id = str(uuid.uuid4())
        prompt = _prompt(case, catalog[case.class_type], _places(foreign_files, target))
        async with http.post("/prompt", json={"prompt": prompt, "prompt_id": prompt_id}) as answer:
            refused = await answer.text() if answer.status != 200 else ""
        if refused:  # some packs check their paths before they run
            assert config.command is not None
            assert config.command.sandbox is not None, (case.class_type, refused)
            assert WORD not in refused
        else:
            sent[prompt_id] = case, target
    async with asyncio.timeout(RUN_S):
        while set(history := await _history(http)) < set(sent):
            await asyncio.sleep(0.2)
    results = set()
    for prompt_id, (case, target) in sent.items():
        run = history[prompt_id]
        if _written(foreign_files, target) if case.writes else _shows_canary(run, config):
            results.add(case.class_type)
        else:
            errors = [data.get("exception_message") for kind, data in run["status"]["messages"] if "error" in kind]
            print("not reached:", case.class_type, errors)
    return results


def _written(foreign_files: ForeignFiles, target: Path) -> bool:
    """Return whether a node wrote a file to its target folder or beside it."""
    files = (path for path in foreign_files.foreign.parent.rglob("*") if path.is_file())
    return any(target.name in str(path) and not path.is_relative_to(foreign_files.state) for path in files)


async def _history(http: aiohttp.ClientSession) -> dict[str, Any]:
    async with http.get("/history") as answer:
        results: dict[str, Any] = await answer.json()
        return results


def _places(foreign_files: ForeignFiles, target: Path) -> dict[str, str]:
    """Return the paths for the fields in a node's inputs."""
    folders = {path.name: str(path) for path in foreign_files.foreign.iterdir()}
    return {**folders, "target": str(target), "state": str(foreign_files.state), "pid": str(foreign_files.pid)}


def _prompt(case: PathNode, described: dict[str, Any], places: dict[str, str]) -> dict[str, Any]:
    """Return a prompt with the node, its default inputs, and a node that shows each of its outputs."""
    provided = {
        name: value.format_map(places) if isinstance(value, str) else value for name, value in case.inputs.items()
    }
    inputs = {name: provided.get(name, _default(kind)) for name, kind in described["input"].get("required", {}).items()}
    prompt: dict[str, Any] = {
        "image": {"class_type": "EmptyImage", "inputs": {"width": 64, "height": 64, "batch_size": 1, "color": 1}},
        "node": {"class_type": case.class_type, "inputs": {**inputs, **provided}},
    }
    for number, kind in enumerate(described["output"]):
        if kind == "AUDIO" and "IMAGE" in described["output"]:
            continue  # these videos have no audio
        show = {"IMAGE": ("PreviewImage", "images"), "AUDIO": ("SaveAudio", "audio")}
        class_type, name = show.get(kind, ("PreviewAny", "source"))
        more = {"filename_prefix": "sound"} if kind == "AUDIO" else {}
        prompt[f"show-{number}"] = {"class_type": class_type, "inputs": {name: ["node", number], **more}}
    return prompt


def _default(kind: list[Any]) -> object:
    """Return a default for an input: its own, its first option, the test image, or an empty string."""
    options = kind[1] if len(kind) > 1 and isinstance(kind[1], dict) else {}
    if "default" in options:
        return options["default"]
    choices = kind[0] if isinstance(kind[0], list) else options.get("options", [])
    if choices:
        return choices[0]
    return ["image", 0] if kind[0] in {"IMAGE", "*"} else ""


def _shows_canary(run: dict[str, Any], config: EngineConfig) -> bool:
    """Return whether the outputs of a run contain the canary's text, name, colour or audio."""
    outputs = run["outputs"]
    if WORD in json.dumps(outputs):
        return True
    assert config.output is not None
    assert config.temp is not None
    folders = {"output": config.output, "temp": config.temp}
    files = [item for node in outputs.values() for item in node.get("images", []) if isinstance(item, dict)]
    if any(node.get("audio") for node in outputs.values()):
        return True
    return any(_canary(folders[item["type"]] / item["subfolder"] / item["filename"]) for item in files)


def _canary(path: Path) -> bool:
    """Return whether an image has the canary's colour."""
    with Image.open(path) as picture:
        colours = picture.convert("RGB").getcolors(1 << 20) or []
    return any(sum(abs(a - b) for a, b in zip(colour, COLOUR, strict=True)) < 12 for _, colour in colours)
