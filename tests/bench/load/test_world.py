"""The generator of the mixed trace: it is the same for a seed, and has the properties that its table states."""

from __future__ import annotations

import ast
import statistics
from dataclasses import dataclass
from pathlib import Path

import pytest

from bench.load.mixed import world
from bench.load.mixed.shapes import SHAPES, JobShape
from bench.load.mixed.world import FAMILIES, GPUS, OUTLIER_FACTOR, THROTTLED_FACTOR, Machine
from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt

GPU = next(iter(GPUS))
PLAIN, CONTROLLED, BATCH = SHAPES[0], SHAPES[1], SHAPES[2]


@dataclass
class Node:
    """A node as the embedded engine describes it."""

    class_type: str
    inputs: JsonObject
    prompt: Prompt
    model: str
    width: int
    height: int
    frames: int
    batch: int
    steps: int


def sampler(shape: JobShape) -> Node:
    """Return the sampler of a shape."""
    prompt = shape.prompt(1)
    inputs = prompt["sampler"]["inputs"]
    size = (shape.width, shape.height, shape.frames, shape.batch)
    return Node("KSampler", inputs, prompt, shape.model, *size, shape.steps)


def usual(machine: Machine, shape: JobShape, runs: int = 200) -> float:
    """Return the median seconds of a sampler whose model is loaded."""
    node = sampler(shape)
    machine.seconds(node)
    return statistics.median(machine.seconds(node) for _ in range(runs))


def test_the_generator_imports_nothing_of_the_worker() -> None:
    """The file of the world imports only Python's own modules, so it shares no code with the estimator."""
    tree = ast.parse(Path(world.__file__).read_text("utf-8"))
    modules = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
    modules |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
    assert not [name for name in modules if name.split(".")[0] in ("worker", "bench")]


def test_a_seed_makes_the_same_world() -> None:
    """Two machines of one seed take the same times, and those of another seed take others."""
    node = sampler(PLAIN)
    times = [
        [machine.seconds(node) for _ in range(5)] for machine in (Machine(7, GPU), Machine(7, GPU), Machine(8, GPU))
    ]
    assert times[0] == times[1] != times[2]


def test_noise_and_outliers() -> None:
    """Nearly all runs are within 20 % of the median, and about one of fifty takes three times as long."""
    machine, node = Machine(7, GPU), sampler(PLAIN)
    machine.seconds(node)
    times = [machine.seconds(node) for _ in range(2000)]
    ratios = [seconds / statistics.median(times) for seconds in times]
    outliers = [ratio for ratio in ratios if ratio > 2]
    assert 20 <= len(outliers) <= 70
    assert statistics.median(outliers) == pytest.approx(OUTLIER_FACTOR, rel=0.1)
    assert all(0.8 < ratio < 1.2 for ratio in ratios if ratio not in outliers)


def test_the_first_run_of_a_model_loads_it() -> None:
    """A loader takes the time to read its file, and the first sampler of a model moves it to the GPU."""
    machine, node = Machine(7, GPU), sampler(PLAIN)
    first, second = machine.seconds(node), machine.seconds(node)
    assert first > second
    loader = PLAIN.prompt(1)["model"]
    read = Node(loader["class_type"], loader["inputs"], {}, PLAIN.model, 512, 512, 1, 1, 0)
    assert machine.seconds(read) > 0.5


def test_a_batch_costs_less_than_its_pictures_alone() -> None:
    """A batch of four takes longer than one picture, and less than four pictures with the same steps."""
    machine = Machine(7, GPU)
    per_step = {shape.batch: usual(machine, shape) / shape.steps for shape in (PLAIN, BATCH)}
    assert per_step[1] < per_step[4] < 4 * per_step[1]


def test_a_controlnet_costs_more() -> None:
    """A step with a ControlNet takes longer than one without."""
    machine = Machine(7, GPU)
    assert usual(machine, CONTROLLED) / CONTROLLED.steps > usual(machine, PLAIN) / PLAIN.steps


def test_the_file_throttles_the_gpu_for_good(tmp_path: Path) -> None:
    """Once the file exists, samplers take longer by the factor, also after it was removed."""
    throttle = tmp_path / "throttle"
    machine = Machine(7, GPU, throttle)
    before = usual(machine, PLAIN)
    throttle.touch()
    after = usual(machine, PLAIN)
    throttle.unlink()
    assert after / before == pytest.approx(THROTTLED_FACTOR, rel=0.05)
    assert usual(machine, PLAIN) / before == pytest.approx(THROTTLED_FACTOR, rel=0.05)


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: shape.name)
def test_each_shape_has_a_family_and_a_short_time(shape: JobShape) -> None:
    """Each model belongs to one family of the world, and a job takes seconds at most, on each GPU."""
    assert sum(name in shape.model for name in FAMILIES) == 1
    for gpu in GPUS:
        assert 0.05 < usual(Machine(7, gpu), shape, runs=9) < 6
