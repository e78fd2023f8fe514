"""The workflow of the benchmark: which one it is, how large it is, and its input files."""

from __future__ import annotations

import base64
import io
import json
import wave
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from worker.dialects import detect
from worker.job import JobRequest
from worker.load.features.content_size import UPLOADED_IMAGE, UPLOADED_VIDEO
from worker.load.workload import workload
from worker.media_facts import media_facts
from worker.platforms.vast.benchmark.choice import PACKAGED, chosen_name
from worker.platforms.vast.benchmark.samples import sample_uri
from worker.platforms.vast.benchmark.template_values import benchmark_values
from worker.platforms.vast.benchmark.workflow import MOST_UNITS, read_workflow
from worker.workflow.prompt import Prompt
from worker.workflow.templates.fill import fill
from worker.workflow.templates.library import read_library
from worker.workflow.templates.reader import read_template
from worker.workflow.templates.template import ParameterKind, Template

LIBRARY = read_library("shipped")


def request(body: dict[str, Any]) -> JobRequest:
    return detect(body).read(body, LIBRARY).job


@pytest.mark.parametrize(
    ("benchmark", "models", "chosen"),
    [
        ("", "sdxl, flux-schnell", "sdxl"),
        ("", " , wan22-t2v", "wan22-t2v"),
        ("flux-dev", "sdxl", "flux-dev"),
        ("/a/workflow.json", "sdxl", "/a/workflow.json"),
        (PACKAGED, "sdxl", PACKAGED),
        ("", "", ""),
    ],
)
def test_the_first_template_is_measured_unless_another_job_is_named(benchmark: str, models: str, chosen: str) -> None:
    """WORKER_BENCHMARK names the job, and without it the first template of WORKER_MODELS is measured."""
    assert chosen_name(benchmark, models) == chosen


@pytest.mark.parametrize("name", [name for name in LIBRARY if name != "smoke-resize"])  # has nothing to draw
def test_every_shipped_template_can_be_measured(name: str) -> None:
    """The benchmark of each template is valid, takes at most 90 s on the reference GPU, and is not cached."""
    workflow = read_workflow(name, LIBRARY)
    first, second = (request(workflow.payload()) for _ in range(2))
    assert 0 < workload(first.prompt) <= MOST_UNITS
    assert first.prompt != second.prompt
    assert read_workflow(name, LIBRARY).identity == workflow.identity


def test_a_short_template_runs_with_its_defaults() -> None:
    """A template whose job is short is measured as clients run it."""
    measured = request(read_workflow("sdxl", LIBRARY).payload()).prompt
    usual = fill(LIBRARY["sdxl"], {}, lambda _: 1).prompt
    assert workload(measured) == workload(usual)


@pytest.mark.parametrize(("name", "steps"), [("qwen-image-2512", 50), ("wan22-t2v", 20)])
def test_a_long_template_runs_with_fewer_steps(name: str, steps: int) -> None:
    """The steps of a long job are cut to 4, where the units are proportional to the steps."""
    workflow = read_workflow(name, LIBRARY)
    assert workflow.payload()["input"]["modifications"]["steps"] == 4
    template = LIBRARY[name]
    few, many = (workload(fill(template, {"steps": count}, lambda _: 1).prompt) for count in (4, steps))
    assert many / few == pytest.approx(steps / 4, rel=0.1)


def test_a_video_is_shortened_after_its_steps() -> None:
    """If fewer steps do not suffice, a video becomes shorter and keeps its size."""
    values = read_workflow("wan22-t2v", LIBRARY).payload()["input"]["modifications"]
    assert values["seconds"] < 5.0
    assert not {"width", "height", "cfg"} & values.keys()


def sampler(width: int, height: int) -> Prompt:
    """Return a workflow whose only cost is its size."""
    return {
        "1": {"class_type": "UNETLoader", "inputs": {"unet_name": "flux1-dev.safetensors"}},
        "2": {"class_type": "EmptyLatentImage", "inputs": {"width": width, "height": height, "batch_size": 1}},
        "3": {
            "class_type": "KSampler",
            "inputs": {"model": ["1", 0], "latent_image": ["2", 0], "steps": 4, "cfg": 1.0, "seed": 1},
        },
    }


def own_template(**parameters: dict[str, Any]) -> Template:
    table = {"title": "Own", "about": "Own.", "outputs": ["3"], "parameters": parameters}
    return read_template("own", sampler(4096, 4096), table)


def units_of(template: Template) -> Any:
    return lambda values: workload(fill(template, values, lambda _: 1).prompt)


def test_a_large_image_becomes_smaller_and_stays_valid() -> None:
    """Sizes are cut until the job fits, within the minimum and in the steps that the template allows."""
    size = {"type": "integer", "minimum": 256, "maximum": 8192, "multiple_of": 64}
    template = own_template(wide={**size, "sets": ["2.width"]}, high={**size, "sets": ["2.height"]})
    values = benchmark_values(template, 5.0, units_of(template))
    assert units_of(template)(values) <= 5.0
    assert values["wide"] == values["high"] >= 512
    assert values["wide"] % 64 == 0


def test_values_that_cannot_be_smaller_are_used_as_they_are() -> None:
    """A job that is still too long with the smallest values is measured with those."""
    template = own_template(wide={"type": "integer", "minimum": 2048, "sets": ["2.width"]})
    assert benchmark_values(template, 1.0, units_of(template)) == {"wide": 2048}


def test_required_values_are_filled_in() -> None:
    """A required parameter without a default gets a valid value."""
    workflow = sampler(64, 64)
    workflow["3"]["inputs"].update(seed=["2", 0], note=["2", 0], name=["2", 0], size=["2", 0], fast=["2", 0])
    parameters = {
        "note": {"type": "string", "required": True, "sets": ["3.note"]},
        "name": {"type": "choice", "required": True, "choices": ["a", "b"], "sets": ["3.name"]},
        "size": {"type": "integer", "required": True, "minimum": 7, "sets": ["3.size"]},
        "fast": {"type": "boolean", "required": True, "sets": ["3.fast"]},
    }
    table = {"title": "Own", "about": "Own.", "outputs": ["3"], "parameters": parameters}
    template = read_template("own", workflow, table)
    values = benchmark_values(template, 1e9, units_of(template))
    assert (values["name"], values["size"], values["fast"]) == ("a", 7, False)


def decoded(uri: str) -> bytes:
    return base64.b64decode(uri.partition(",")[2])


def test_a_sample_image_has_the_assumed_size() -> None:
    """The sample image has the size with which the units of an unknown image are computed, and is new each time."""
    first, second = (decoded(sample_uri(ParameterKind.IMAGE, Random(number))) for number in range(2))
    assert first != second
    with Image.open(io.BytesIO(first)) as image:
        assert image.size == (UPLOADED_IMAGE.width, UPLOADED_IMAGE.height)


def test_a_sample_video_has_the_assumed_size(tmp_path: Path) -> None:
    """The sample video has the size and the frames of an unknown video, and is new each time."""
    first, second = (decoded(sample_uri(ParameterKind.VIDEO, Random(number))) for number in range(2))
    assert first != second
    path = tmp_path / "video.mp4"
    path.write_bytes(first)
    facts = media_facts(path, first)
    assert (facts.width, facts.height) == (UPLOADED_VIDEO.width, UPLOADED_VIDEO.height)
    assert facts.duration_s == pytest.approx(UPLOADED_VIDEO.frames / 16, abs=0.1)


def test_a_sample_sound_is_a_sound() -> None:
    """The sample sound is a WAV file of five seconds."""
    with wave.open(io.BytesIO(decoded(sample_uri(ParameterKind.AUDIO, Random(1))))) as sound:
        assert sound.getnframes() / sound.getframerate() == 5


def test_the_seeds_of_a_file_are_drawn(tmp_path: Path) -> None:
    """A workflow of a file gets new seeds in each run, because ComfyUI would have its results cached."""
    path = tmp_path / "workflow.json"
    path.write_text(json.dumps(sampler(64, 64)))
    body = read_workflow(str(path), {}).payload()
    assert body["input"]["workflow_json"]["3"]["inputs"]["seed"] == "__RANDOM_INT__"
