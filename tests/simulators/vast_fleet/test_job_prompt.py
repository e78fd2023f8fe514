"""The prompts of a replay: their units, and the seconds that they take."""

from __future__ import annotations

import pytest

from worker.load.workload import workload
from worker.simulators.comfyui.timings import SimulatedNode, Timings
from worker.simulators.vast_fleet.job_prompt import TIMINGS_FILE, job_prompt
from worker.workflow.prompt import Prompt


def seconds(prompt: Prompt) -> dict[str, float | None]:
    """Return the seconds of each node of a prompt, by the timings file of the replay."""
    timings = Timings.read(TIMINGS_FILE)
    nodes = {
        name: SimulatedNode(name, node["class_type"], node["inputs"], prompt, "", 0, 0, 1, 1, 8 * (name == "sampler"))
        for name, node in prompt.items()
    }
    return {name: timings.seconds(node) for name, node in nodes.items()}


@pytest.mark.parametrize("kind", ["", "sdxl", "flux-dev", "wan22-i2v"])
@pytest.mark.parametrize("units", [1.2, 3.8, 12.9, 110.0, 900.0])
def test_a_prompt_has_the_units_of_its_job(kind: str, units: float) -> None:
    """The workload of a prompt is that of its job, for each family of models."""
    assert workload(job_prompt(units, 1.0, kind)) == pytest.approx(units, rel=0.02)


def test_a_prompt_takes_the_seconds_of_its_job() -> None:
    """The sampler takes the seconds of the job and the loader those of the models. Other nodes take none."""
    times = seconds(job_prompt(12.9, 17.25, "flux-dev", load_s=9.0))
    assert (times.pop("sampler"), times.pop("model")) == (17.25, 9.0)
    assert set(times.values()) == {0.0}


def test_kinds_have_models_of_their_own() -> None:
    """Jobs of two kinds load two models."""
    assert job_prompt(1, 1, "a")["model"]["inputs"] != job_prompt(1, 1, "b")["model"]["inputs"]
