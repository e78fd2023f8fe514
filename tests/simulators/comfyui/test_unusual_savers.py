"""The engine's own output nodes that do not report their files as the editor expects."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from tests.simulators.comfyui.client import EngineClient, Graph


def saver_prompt(class_type: str, **inputs: Any) -> Graph:
    """Return a prompt with EmptyImage and a saver."""
    image = {"width": 8, "height": 8, "batch_size": 1, "color": 0}
    return {
        "1": {"class_type": "EmptyImage", "inputs": image},
        "2": {"class_type": class_type, "inputs": {"image": ["1", 0], "prefix": "odd"} | inputs},
    }


async def test_silent_saver_reports_nothing(client: EngineClient) -> None:
    """EmbeddedSaveSilently writes a file that neither an event nor the history names."""
    socket = await client.listen("A")
    prompt_id = await client.submit(saver_prompt("EmbeddedSaveSilently"))
    frames = await socket.until_ended(prompt_id)
    assert "executed" not in [frame["type"] for frame in frames]
    assert (await client.get(f"/history/{prompt_id}"))[prompt_id]["outputs"] == {}
    assert [path.name for path in (client.base / "output").iterdir()] == ["odd_00001.png"]


async def test_a_late_file_appears_after_the_prompt(client: EngineClient) -> None:
    """EmbeddedLateFile writes its file after the prompt has ended."""
    await client.run(saver_prompt("EmbeddedLateFile", seconds=0.5))
    path = client.base / "output/odd_00001.png"
    assert not path.exists()
    while not path.exists():
        await asyncio.sleep(0.02)


async def test_a_path_is_reported_as_text(client: EngineClient) -> None:
    """EmbeddedPathString reports an absolute path, or one relative to output."""
    for absolute, number in ((True, 1), (False, 2)):
        entry = await client.run(saver_prompt("EmbeddedPathString", absolute=absolute))
        name = f"odd_{number:05}.png"
        assert (client.base / "output" / name).exists()
        expected = str(client.base / "output" / name) if absolute else name
        assert entry["outputs"]["2"] == {"file_path": [expected]}


async def test_any_object_can_be_reported(client: EngineClient) -> None:
    """EmbeddedReport reports any object. As in ComfyUI, a string is split, and a number fails the node."""
    reported = {"value": [5, True, {"a": 1}], "text": "ab"}
    entry = await client.run({"2": {"class_type": "EmbeddedReport", "inputs": {"json": json.dumps(reported)}}})
    assert entry["outputs"] == {"2": {"value": [5, True, {"a": 1}], "text": ["a", "b"]}}
    entry = await client.run({"2": {"class_type": "EmbeddedReport", "inputs": {"json": '{"value": 5}'}}})
    assert entry["status"]["messages"][-1][1]["exception_type"] == "TypeError"


async def test_a_model_is_saved_without_a_report(client: EngineClient) -> None:
    """EmbeddedSaveModel writes a model below output without reporting it."""
    entry = await client.run({"2": {"class_type": "EmbeddedSaveModel", "inputs": {"prefix": "mine"}}})
    assert entry["outputs"] == {}
    assert (client.base / "output/checkpoints/mine_00001_.safetensors").stat().st_size > 0
