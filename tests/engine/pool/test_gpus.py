"""Tests of WORKER_GPUS: its values, and what each engine gets."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.engine.supervised import engine_pids, supervised
from worker.engine.config import engine_configs
from worker.engine.process.gpu import driver_command, gpu_environment, listed_gpus, read_gpus
from worker.errors import StartupError
from worker.settings import Settings


@pytest.mark.parametrize(
    ("text", "visible", "listed", "gpus"),
    [
        ("", "", 4, ()),
        ("1", "", 4, ()),
        ("3", "", 0, ("0", "1", "2")),
        ("2", "3,5,7", 0, ("3", "5")),
        ("0,2", "", 0, ("0", "2")),
        ("2,", "", 0, ("2",)),
        (" GPU-8f1e , GPU-22aa ", "", 0, ("GPU-8f1e", "GPU-22aa")),
        ("auto", "", 4, ("0", "1", "2", "3")),
        ("auto", "1, 3", 4, ("1", "3")),
        ("auto", "", 1, ()),
        ("auto", "", 0, ()),
    ],
)
def test_gpu_settings(text: str, visible: str, listed: int, gpus: tuple[str, ...]) -> None:
    """`read_gpus` accepts a number, a list and `auto`, and a single GPU changes nothing."""
    assert read_gpus(text, visible, listed) == gpus


@pytest.mark.parametrize(
    ("text", "visible"), [("0", ""), ("many", ""), ("0,0", ""), (",", ""), ("-1", ""), ("4", "0,1")]
)
def test_invalid_gpu_settings_are_rejected(text: str, visible: str) -> None:
    """`read_gpus` rejects other values and names the setting."""
    with pytest.raises(StartupError, match=f"WORKER_GPUS='?{text}"):
        read_gpus(text, visible, 0)


async def test_the_drivers_list_is_counted(tmp_path: Path) -> None:
    """`listed_gpus` counts the lines of nvidia-smi, and returns 0 without that program."""
    listing = tmp_path / "nvidia-smi"
    listing.write_text("#!/bin/sh\necho 'GPU 0: A (UUID: GPU-1)'\necho '  MIG 1g.5gb Device 0: x'\necho 'GPU 1: A'\n")
    listing.chmod(0o755)
    assert await listed_gpus([str(listing)]) == 2
    assert await listed_gpus([str(tmp_path / "nothing")]) == 0


def test_an_index_means_the_same_to_cuda_and_to_the_driver() -> None:
    """`gpu_environment` sets the order of GPUs, and nothing for an engine without its own GPU."""
    assert gpu_environment("1", {}) == {"CUDA_VISIBLE_DEVICES": "1", "CUDA_DEVICE_ORDER": "PCI_BUS_ID"}
    assert gpu_environment("1", {"CUDA_DEVICE_ORDER": "FASTEST_FIRST"})["CUDA_DEVICE_ORDER"] == "FASTEST_FIRST"
    assert gpu_environment(None, {}) == {}
    assert "1" in driver_command("1")


async def test_each_engine_sees_its_own_gpu(tmp_path: Path) -> None:
    """The process of each engine has the environment of its GPU."""
    async with supervised(tmp_path, gpus="0,3") as worker:
        await worker.app.engines.wait_until_settled()
        seen = []
        for name in ("engine-0", "engine-1"):
            [pid] = engine_pids(tmp_path, name)
            variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
            seen += [line for line in variables if line.startswith(b"CUDA_VISIBLE_DEVICES=")]
    assert seen == [b"CUDA_VISIBLE_DEVICES=0", b"CUDA_VISIBLE_DEVICES=3"]


async def test_engines_share_inputs_and_models_and_nothing_else(tmp_path: Path) -> None:
    """Two ComfyUIs share inputs and models, and have their own other folders, database, log and port."""
    (tmp_path / "main.py").touch()
    first, second = await engine_configs(Settings.of(comfyui=str(tmp_path), gpus="2", state=tmp_path / "state"))
    assert first.input == second.input
    assert (first.output, first.temp) != (second.output, second.temp)
    assert first.command is not None
    assert second.command is not None
    assert first.command.logs != second.command.logs
    options = [
        dict(zip(one.command.arguments[2::2], one.command.arguments[3::2], strict=True)) for one in (first, second)
    ]  # type: ignore[union-attr]
    shared = {name for name in options[0] if options[0][name] == options[1][name]}
    assert shared == {"--listen", "--input-directory"}
    files = [Path(one["--extra-model-paths-config"]).read_text() for one in options]
    assert files[0] == files[1]
    assert first.output == tmp_path / "state" / "comfyui" / "output"  # as with one engine
