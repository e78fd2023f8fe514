"""The benchmark of public speeds."""

from __future__ import annotations

import csv
import math
from pathlib import Path

import pytest

from bench.load.points import measure, share
from bench.load.speed.former import FORMER_WORKLOADS
from bench.load.speed.point import SpeedPoint, read_points
from bench.load.speed.pricing import PricedPoint, fitted, former_pairs, pairs, price, simple_pairs
from worker.workflow.templates.library import read_library

FIELDS = [
    *("id", "family", "model", "precision", "width", "height", "frames", "batch", "steps", "passes", "gpu", "seconds"),
    *("kind", "engine", "opt", "cold", "source", "date", "trust", "note"),
]
LIBRARY = read_library("shipped")
MODELS = {
    "sd1": ("sd1.5", 512, 1, 20, 2),
    "sdxl": ("sdxl-base", 1024, 1, 20, 2),
    "flux": ("flux1-dev", 1024, 1, 28, 1),
    "flux-kontext": ("flux1-kontext", 1024, 1, 20, 1),
    "qwen-image": ("qwen-image", 1024, 1, 50, 2),
    "wan-14b": ("wan2.1-t2v-14b", 832, 81, 50, 2),
    "wan-1.3b": ("wan2.1-t2v-1.3b", 832, 81, 50, 2),
    "hunyuan-video": ("hunyuan-video", 960, 129, 50, 1),
    "upscale": ("4x-UltraSharp", 512, 1, 1, 1),
    "seedvr2-3b": ("seedvr2-3b", 720, 81, 1, 1),
}
SPEEDS = {"RTX4090": 129.0, "H100": 412.0, "A100": 176.0, "RTX3090": 56.0, "L20": 100.0}


def point(number: int, family: str, gpu: str, seconds: float, **changed: object) -> dict[str, str]:
    """Return a row of the file."""
    model, side, frames, steps, passes = MODELS[family]
    row: dict[str, object] = dict.fromkeys(FIELDS, "")
    row |= {"id": number, "family": family, "model": model, "gpu": gpu, "width": side, "height": side, "batch": 1}
    row |= {"frames": frames, "steps": steps, "passes": passes, "seconds": seconds, "kind": "e2e"}
    row |= {"engine": "comfyui", "cold": "0", "trust": "A"} | changed
    return {name: str(value) for name, value in row.items()}


def priced(family: str, gpu: str, **changed: object) -> PricedPoint:
    """Return a point with its price."""
    return price(SpeedPoint.read(point(1, family, gpu, 1.0, **changed)), LIBRARY)


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Return a file of points that the closed form predicts exactly, up to 10 % of noise, and one of a first run."""
    file = tmp_path / "points.csv"
    numbers = iter(FORMER_WORKLOADS)
    with file.open("w", newline="") as stream:
        writer = csv.DictWriter(stream, FIELDS)
        writer.writeheader()
        for gpu, tflops in SPEEDS.items():
            for index, family in enumerate(MODELS):
                for size in ({}, {"height": 768}):
                    seconds = priced(family, gpu, **size).seconds(tflops, 1.0) * math.exp(0.1 * math.sin(index))
                    writer.writerow(point(next(numbers), family, gpu, seconds, **size))
        writer.writerow(point(9999, "sd1", "H100", 1e6, cold="1"))
    return file


def test_points_are_predicted_from_a_single_one_of_their_gpu(data: Path) -> None:
    """Points that follow the closed form are within a factor of 1.5. Those of first runs are left out."""
    points = [price(each, LIBRARY) for each in read_points(data)]
    assert len(points) == 2 * len(MODELS) * len(SPEEDS)
    assert min(share(pairs(points)), share(simple_pairs(points))) > 0.9
    constants = fitted({gpu: [each for each in points if each.point.gpu == gpu] for gpu in SPEEDS})
    assert constants.launches == pytest.approx(1.0, abs=0.11)
    assert share(former_pairs([each.point for each in points], FORMER_WORKLOADS)) < 0.7


def test_the_part_reports_rows_and_the_worst_pairs(data: Path) -> None:
    """The part has a row with the target, a table of the families, and the worst pairs with their reasons."""
    result = measure(data)
    assert result.rows[0].met is True
    notes = "\n".join(result.notes)
    assert all(f"\n| {family} | 10 |" in notes for family in MODELS)
    assert notes.count("Reason:") == 5


def test_without_the_file_the_part_is_not_run(tmp_path: Path) -> None:
    """The data is not part of the repository."""
    (row,) = measure(tmp_path / "absent.csv").rows
    assert row.verdict == "not run"


def test_what_a_prompt_shows_changes_the_price() -> None:
    """Compilation, 8-bit products and TensorRT are in the prompt. Only the sampler counts for a time of sampling."""
    plain = priced("flux", "H100")
    assert priced("flux", "H100", opt="compile").tflop < plain.tflop
    assert priced("flux", "H100", precision="fp8mm").tflop < plain.tflop
    assert priced("flux", "H100", precision="fp8").tflop == plain.tflop
    assert priced("flux", "H100", kind="sampling").tflop < plain.tflop
    assert priced("upscale", "H100", opt="tensorrt").tflop < priced("upscale", "H100").tflop / 2
    assert priced("flux-kontext", "H100").tflop > 1.4 * plain.tflop
