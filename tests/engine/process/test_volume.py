"""Models on a network volume are found, and nothing on the volume is ever changed."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.engine.process.test_folders import tree  # noqa: F401 - a fixture
from tests.engine.supervised import supervised
from worker.engine.process.folders import engine_folders, known_folders
from worker.engine.process.volume import log_volume, volume_report
from worker.models.folder import ModelsFolder, worker_models
from worker.settings import Settings
from worker.workflow.templates.template import ModelFile


@pytest.fixture
def volume(tmp_path: Path) -> Iterator[Path]:
    """A volume in worker-comfyui's layout, with the newer names of two folders as well."""
    root = tmp_path / "runpod-volume"
    for name in ("checkpoints/sd.safetensors", "unet/old.safetensors", "clip/clip_l.safetensors"):
        put(root / "models" / name)
    for name in ("diffusion_models/new.safetensors", "text_encoders/t5/t5xxl.safetensors"):
        put(root / "models" / name)
    return root


def put(path: Path, data: bytes = b"1234") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def listing(root: Path) -> list[tuple[str, int, int]]:
    """Return the entries below a folder with their inodes and modification times."""
    paths = [root, *sorted(root.rglob("*"))]
    return [(str(path), (stat := path.lstat()).st_ino, stat.st_mtime_ns) for path in paths]


async def test_comfyui_searches_the_volume_last(tree: Path, volume: Path, tmp_path: Path) -> None:  # noqa: F811
    """ComfyUI gets the volume's folders under old and new names, after its own, and nothing on the volume changes."""
    before = listing(volume)
    state = tmp_path / "state"
    async with supervised(state, comfyui=str(tree), network_volume=volume):
        paths = json.loads((state / "comfyui" / "models.yaml").read_text())["comfy-worker"]
    for folder in ("checkpoints", "unet", "clip", "diffusion_models", "text_encoders", "loras", "vae", "embeddings"):
        places = [tree / "models", state / "models", volume / "models"]
        assert paths[folder].splitlines() == [str(place / folder) for place in places]
    assert listing(volume) == before


def test_files_on_the_volume_count_as_present(tree: Path, volume: Path, tmp_path: Path) -> None:  # noqa: F811
    """A model on the volume need not be downloaded, also under the older name of its folder, and has no record."""
    settings = Settings.of(comfyui=str(tree), state=tmp_path / "state", network_volume=volume)
    folder = worker_models(settings)
    assert folder is not None
    folder.open()
    assert folder.has(ModelFile("sd.safetensors", "checkpoints", size=4))
    assert folder.find("diffusion_models", "old.safetensors") == volume / "models" / "unet" / "old.safetensors"
    assert folder.names("text_encoders") == ["clip_l.safetensors", "t5/t5xxl.safetensors"]
    assert folder.has_foreign(ModelFile("sd.safetensors", "checkpoints"))
    assert folder.on_volume(volume / "models" / "checkpoints" / "sd.safetensors")
    assert not folder.on_volume(tree / "models" / "checkpoints" / "baked.safetensors")


def test_without_a_volume_nothing_changes(tree: Path, tmp_path: Path) -> None:  # noqa: F811
    """A folder that does not exist, or has no models, is no volume."""
    (tmp_path / "empty").mkdir()
    for place in (tmp_path / "nowhere", tmp_path / "empty"):
        folders = engine_folders(Settings.of(comfyui=str(tree), state=tmp_path / "state", network_volume=place))
        assert folders is not None
        assert folders.volume is None


def test_the_report_names_folders_and_mistakes(volume: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The report has a line for each folder, for misspelt names, and for files outside of a folder."""
    put(volume / "models" / "checkpoint" / "x.safetensors")
    put(volume / "models" / "loose.safetensors")
    lines = list(volume_report(volume, known_folders()))
    assert any(line.endswith("checkpoints: 1 files, 0 MiB: sd.safetensors") for line in lines)
    assert any("/checkpoint: no folder of ComfyUI has this name: Did you mean 'checkpoints'?" in line for line in lines)
    assert any("loose.safetensors: ComfyUI finds no model outside" in line for line in lines)
    [missing] = volume_report(volume / "nowhere", known_folders())
    assert "no volume is mounted there" in missing
    [empty] = volume_report(volume / "models", known_folders())
    assert "no folder `models`" in empty
    with caplog.at_level(logging.INFO):
        log_volume(Settings.of(network_volume=volume), known_folders())
        assert not caplog.records
        log_volume(Settings.of(network_volume=volume, network_volume_debug=True), known_folders())
    assert len(caplog.records) == len(lines)


def test_a_model_that_disappears_is_no_error(volume: Path) -> None:
    """A broken link in the volume does not stop the report."""
    (volume / "models" / "checkpoints" / "broken.safetensors").symlink_to("/nowhere/at/all")
    assert any("2 files" in line for line in volume_report(volume, known_folders()))


def test_a_file_of_the_workers_own_folder_is_found_first(tmp_path: Path, volume: Path) -> None:
    """The worker's own folder is searched before the volume, as by ComfyUI."""
    own = tmp_path / "models"
    put(own / "checkpoints" / "sd.safetensors", b"123456")
    assert ModelsFolder(own, volume=volume / "models").size("checkpoints", "sd.safetensors") == 6
