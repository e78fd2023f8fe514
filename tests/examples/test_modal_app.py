"""The handlers of examples/modal-app, with their own utilities, on the embedded engine."""

from __future__ import annotations

import base64
import io
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from yarl import URL

from tests.engines import EngineHandle
from tests.workflows import picture

APP = Path(__file__).parents[2] / "examples" / "modal-app"
CALL = """
import importlib, json, sys
from utils import comfyui
port, module, name, arguments = json.load(sys.stdin)
comfyui._port = port
print(json.dumps(getattr(importlib.import_module("handlers." + module), name)(**arguments)))
"""


def call(engine: EngineHandle, module: str, name: str, **arguments: object) -> subprocess.CompletedProcess[str]:
    """Call a handler in a process of its own."""
    given = json.dumps([URL(engine.url).port, module, name, arguments])
    environment = {**os.environ, "PYTHONPATH": str(APP)}
    command = [sys.executable, "-c", CALL]
    return subprocess.run(command, input=given, capture_output=True, text=True, env=environment, check=False)


def result(engine: EngineHandle, module: str, name: str, **arguments: object) -> dict[str, Any]:
    done = call(engine, module, name, **arguments)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def png(width: int = 32, height: int = 24) -> str:
    """Return a picture as base64."""
    data = io.BytesIO()
    Image.new("RGB", (width, height), "teal").save(data, format="PNG")
    return base64.b64encode(data.getvalue()).decode()


def size(text: str) -> tuple[int, int]:
    return Image.open(io.BytesIO(base64.b64decode(text))).size


@pytest.mark.parametrize(
    ("module", "name", "arguments"),
    [
        ("flux", "generate_flux_image", {}),
        ("lora", "generate_lora_image", {"lora_name": "watercolor"}),
        ("instantid", "generate_instantid_image", {"face_image": "data:image/png;base64," + png()}),
        ("workflow", "generate_denrisi_image", {}),
    ],
)
def test_a_handler_returns_an_image(engine: EngineHandle, module: str, name: str, arguments: dict[str, object]) -> None:
    """Each handler of images returns one of the wanted size."""
    found = result(engine, module, name, prompt="a lighthouse", width=64, height=48, seed=7, **arguments)
    assert size(found["image"]) == (64, 48)
    assert found["images"] == [found["image"]]


def test_a_picture_is_enlarged(engine: EngineHandle) -> None:
    """SeedVR2 returns the picture that it was given in its larger size."""
    found = result(engine, "seedvr2", "upscale_seedvr2_image", image=png(), scale=2.0)
    assert size(found["image"]) == (64, 48)


def test_a_video_comes_back(engine: EngineHandle) -> None:
    """Wan 2.2 returns an MP4 file."""
    found = result(engine, "wan2", "generate_wan2_video", prompt="a fox", seconds=1, width=64, height=64)
    assert base64.b64decode(found["video"])[4:8] == b"ftyp"


def test_a_custom_workflow_gets_its_pictures(engine: EngineHandle) -> None:
    """A workflow of the caller reads the pictures that came with it."""
    workflow = {
        "1": {"class_type": "LoadImage", "inputs": {"image": "mine.png"}},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": "mine"}},
    }
    found = result(engine, "workflow", "run_custom_workflow", workflow=workflow, images={"mine.png": png(20, 10)})
    assert size(found["image"]) == (20, 10)


def test_a_refused_workflow_is_an_error_with_the_reason(engine: EngineHandle) -> None:
    """The app's own error has ComfyUI's message."""
    done = call(engine, "workflow", "run_custom_workflow", workflow=picture(width=0))
    assert done.returncode == 1
    assert "ComfyUIError: node 1: Value 0 smaller than min" in done.stderr


def test_costs_come_from_the_prices_of_the_platform() -> None:
    """Half an hour on an L40S costs half of its hourly price."""
    code = "from utils.cost_tracker import CostTracker as C; print(C('modal').calculate_cost('L40S', 1800))"
    environment = {**os.environ, "PYTHONPATH": str(APP)}
    said = subprocess.check_output([sys.executable, "-c", code], text=True, env=environment)
    assert float(said) == pytest.approx(0.975)
