"""Tests of the folders of a ComfyUI that the worker starts."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.engine.supervised import supervised
from worker.engine.process.folders import engine_folders, engine_home
from worker.models.folder import ModelFiles, baked_models, models_folder
from worker.settings import Settings

MAIN = """
import json, os, pathlib, sys
given = dict(zip(sys.argv[1::2], sys.argv[2::2]))
told = {"given": given, "env": dict(os.environ)}
pathlib.Path(given["--user-directory"], "told.json").write_text(json.dumps(told))
base = str(pathlib.Path(given["--output-directory"]).parent)
os.execv(PYTHON, [PYTHON, "-m", "worker", "engine", "--port", given["--port"], "--base", base])
"""


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A read-only ComfyUI folder with one model, which starts the embedded engine."""
    import sys

    folder = tmp_path / "ComfyUI"
    (folder / "models" / "checkpoints").mkdir(parents=True)
    (folder / "models" / "checkpoints" / "baked.safetensors").write_bytes(b"123")
    (folder / "models" / "some_pack").mkdir()
    (folder / "main.py").write_text(f"PYTHON = {sys.executable!r}\n{MAIN}")
    return folder


async def test_all_that_it_writes_is_in_the_state_folder(tree: Path, tmp_path: Path) -> None:
    """ComfyUI writes all its files and those of its packs into the state folder."""
    before = sorted(tree.rglob("*"))
    state = tmp_path / "state"
    async with supervised(state, comfyui=str(tree)) as worker:
        told = json.loads((state / "comfyui" / "user" / "told.json").read_text())
        status, _ = await worker.get("/ready")
        assert status == 200
    given = told["given"]
    assert Path(given["--input-directory"]).parent == Path(given["--output-directory"]).parent == state / "comfyui"
    assert given["--temp-directory"] == str(state / "comfyui")
    assert given["--database-url"] == f"sqlite:///{state}/comfyui/user/comfyui.db"
    assert sorted(tree.rglob("*")) == before


async def test_baked_and_fetched_models_are_both_found(tree: Path, tmp_path: Path) -> None:
    """ComfyUI and the worker find models in ComfyUI's own folder and in the worker's."""
    settings = Settings.of(comfyui=str(tree), state=tmp_path / "state")
    async with supervised(settings.state, comfyui=str(tree)):
        paths = json.loads((settings.state / "comfyui" / "models.yaml").read_text())["comfy-worker"]
    places = [tree / "models", settings.state / "models"]
    for folder in ("checkpoints", "text_encoders", "instantid", "some_pack"):
        assert paths[folder].split("\n") == [str(place / folder) for place in places]
    found = models_folder(settings)
    assert found == places[1]
    (found / "loras").mkdir(parents=True)
    (found / "loras" / "fetched.safetensors").write_bytes(b"1")
    files = ModelFiles(found, baked_models(settings))
    assert files.exists("checkpoints", "baked.safetensors")
    assert files.exists("loras", "fetched.safetensors")
    assert not files.exists("loras", "other.safetensors")


def test_a_home_that_cannot_be_written_is_replaced(tmp_path: Path) -> None:
    """`engine_home` replaces a HOME that is not writable, and keeps variables that are set."""
    folders = engine_folders(Settings.of(comfyui=str(tmp_path), state=tmp_path / "state"))
    assert folders is not None
    read_only = str(tmp_path / "not there")  # root may write what is read-only
    moved = engine_home(folders, {"HOME": read_only, "TMPDIR": read_only, "HF_HOME": "/models/hf"})
    home = tmp_path / "state" / "comfyui" / "home"
    assert (moved["HOME"], moved["XDG_CACHE_HOME"]) == (str(home), str(home / ".cache"))
    assert moved["TORCHINDUCTOR_CACHE_DIR"].startswith(str(home))
    assert moved["TMPDIR"] == str(tmp_path / "state" / "comfyui" / "tmp")
    assert "HF_HOME" not in moved
    assert os.access(moved["HOME"], os.W_OK)
    kept = engine_home(folders, {"HOME": str(tmp_path)})
    assert (kept["HOME"], kept["HF_HOME"], kept.get("TMPDIR")) == (
        str(tmp_path),
        str(tmp_path / ".cache" / "huggingface"),
        None,
    )


def test_folders_that_are_named_stay_where_they_are(tmp_path: Path) -> None:
    """WORKER_COMFYUI_OUTPUT, _INPUT and WORKER_MODELS_FOLDER override the state folder."""
    named = {"comfyui_output": tmp_path / "o", "comfyui_input": tmp_path / "i", "models_folder": tmp_path / "m"}
    found = engine_folders(Settings.of(comfyui=str(tmp_path), **named))
    assert found is not None
    assert (found.output, found.input, found.models) == (tmp_path / "o", tmp_path / "i", tmp_path / "m")
