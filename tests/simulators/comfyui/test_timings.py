"""Timings files: nodes of the embedded engine that take the seconds of a user's function."""

from __future__ import annotations

import time
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.cli.terminal import cli
from tests.engines import start_engine
from tests.simulators.comfyui.client import EngineClient
from tests.simulators.comfyui.test_simulated import text_to_image
from tests.workflows import picture

FILE = """
DEVICE = "NVIDIA GeForce RTX 4090"

def seconds(node):
    if node.steps:
        assert (node.model, node.width, node.height, node.batch) == ("any.safetensors", 96, 64, 1)
        assert node.prompt[node.inputs["model"][0]]["class_type"] == "CheckpointLoaderSimple"
        return 0.1 * node.steps
    return 0.2 if node.class_type == "SaveImage" else 0.0
"""


def timings(folder: Path, text: str = FILE) -> list[str]:
    """Write a timings file and return the options for it."""
    path = folder / "timings.py"
    path.write_text(text, "utf-8")
    return ["--timings", str(path)]


async def node_starts(client: EngineClient, *, steps: int = 4) -> dict[str, float]:
    """Run a picture, and return when each node started, and under `end` when the prompt ended."""
    socket = await client.listen("A")
    await client.submit(text_to_image(steps=steps))
    starts: dict[str, float] = {}
    while "end" not in starts:
        frame: Any = await socket.read()
        if isinstance(frame, dict) and frame["type"] == "executing":
            starts[frame["data"]["node"] or "end"] = time.perf_counter()
    return starts


async def test_nodes_take_the_seconds_of_the_file(tmp_path: Path) -> None:
    """The sampler and the saver take the seconds that the function returns. The saver's own work is a part of them."""
    with start_engine(tmp_path / "engine", *timings(tmp_path)) as engine:
        async with EngineClient(engine.url, engine.base) as client:
            starts = await node_starts(client)
    durations = {node: after - before for (node, before), (_, after) in pairwise(starts.items())}
    assert 0.35 < durations["3"] < 10
    assert 0.15 < durations["9"] < 10
    assert durations["8"] < 5


async def test_speed_divides_the_seconds_of_the_file(tmp_path: Path) -> None:
    """With `--speed 50`, a node of 20 seconds takes 0.4 seconds."""
    with start_engine(tmp_path / "engine", *timings(tmp_path), "--speed", "50") as engine:
        async with EngineClient(engine.url, engine.base) as client:
            starts = await node_starts(client, steps=200)
    assert 0.35 < starts["8"] - starts["3"] < 3


async def test_a_slow_fault_multiplies_the_seconds_of_the_file(tmp_path: Path) -> None:
    """The fault `slow` with the factor 3 makes a node of 0.2 seconds take 0.6 seconds."""
    with start_engine(tmp_path / "engine", *timings(tmp_path), "--fault", "slow@KSampler;factor=3") as engine:
        async with EngineClient(engine.url, engine.base) as client:
            starts = await node_starts(client, steps=2)
    assert starts["8"] - starts["3"] > 0.55


async def test_the_device_is_named_by_the_file(tmp_path: Path) -> None:
    """The name of the device is the file's, and still says that the engine is embedded."""
    with start_engine(tmp_path / "engine", *timings(tmp_path)) as engine:
        async with EngineClient(engine.url, engine.base) as client, client.http.get("/system_stats") as answer:
            stats = await answer.json()
    assert stats["devices"][0]["name"] == "NVIDIA GeForce RTX 4090 (embedded engine)"


async def test_none_keeps_the_estimate_of_the_engine(tmp_path: Path) -> None:
    """A node for which the function returns None takes the engine's own time at the speed of the option."""
    options = timings(tmp_path, "def seconds(node):\n    return None if node.class_type == 'VAEDecode' else 0.0\n")
    with start_engine(tmp_path / "engine", *options, "--speed", "0.002") as engine:
        async with EngineClient(engine.url, engine.base) as client:
            starts = await node_starts(client)
    assert starts["9"] - starts["8"] > 0.3, "0.15 s a megapixel, 500 times as slow"
    assert starts["8"] - starts["3"] < 0.3


async def test_an_error_in_the_function_fails_the_node(tmp_path: Path) -> None:
    """An exception in the function fails the prompt with its message, and the engine runs on."""
    options = timings(tmp_path, "def seconds(node):\n    raise RuntimeError('no timing for ' + node.class_type)\n")
    with start_engine(tmp_path / "engine", *options) as engine:
        async with EngineClient(engine.url, engine.base) as client:
            entry = await client.run(picture())
    assert "no timing for EmptyImage" in str(entry["status"]["messages"])


def test_an_unusable_file_is_rejected(tmp_path: Path) -> None:
    """The command rejects a file that is missing, that fails, or that has no function."""
    for text, message in (("seconds = 3", "seconds(node)"), ("1 / 0", "ZeroDivisionError")):
        done = cli("engine", "--port", "0", *timings(tmp_path, text), cwd=tmp_path)
        assert (done.returncode, message in " ".join(done.stderr.split())) == (2, True), done.stderr
    done = cli("engine", "--port", "0", "--timings", "missing.py", cwd=tmp_path)
    assert (done.returncode, "missing.py" in done.stderr) == (2, True)
