"""Seeds that are out of range, and random seeds."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.workflow.prompts import node, sampled
from worker.extra_data import ExtraData
from worker.job import JobRequest
from worker.prompt_changes import RandomInteger, SeedField
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.repairs import prepare_prompt, prepare_request, repair
from worker.workflow.repairs.seeds import draw_seeds

LARGEST = 2**64 - 1
CATALOG = bundled_catalog().with_files({"checkpoints": ["m.safetensors"]})


def with_seed(value: Any) -> dict[str, Any]:
    prompt: dict[str, Any] = {**sampled()}
    prompt["3"]["inputs"]["seed"] = value
    return prompt


def requested(value: Any, **options: Any) -> JobRequest:
    return prepare_request(JobRequest(with_seed(value), **options), CATALOG, (), Random(1))


@pytest.mark.parametrize("sent", [-1, "-1", -1.0, -7, None])
def test_a_seed_below_its_range_becomes_random(sent: Any) -> None:
    """Each job gets another seed, which is in its seeds and in its repair."""
    request = requested(sent)
    [seed], [change] = request.seeds, request.repairs
    assert (seed.node_id, seed.input, seed.value) == ("3", "seed", request.prompt["3"]["inputs"]["seed"])
    assert (change.code, change.sent, change.runs) == ("seed_drawn", sent, seed.value)
    assert 0 <= seed.value <= 2**50
    again = prepare_request(JobRequest(with_seed(sent)), CATALOG, (), Random(2))
    assert again.seeds != request.seeds


@pytest.mark.parametrize(
    ("sent", "runs"),
    [
        (2**65 + 3, 3),
        (str(2**64 + 2**62), 2**62),
        (float(LARGEST), LARGEST),
        (18446744073709552000, LARGEST),
        (10**400, None),
    ],
)
def test_a_seed_above_its_range_is_mapped_into_it(sent: Any, runs: int | None) -> None:
    """The same seed always becomes the same valid seed. The maximum as JavaScript rounds it becomes the maximum."""
    request = requested(sent)
    assert request.seeds == ()
    [change] = request.repairs
    assert change.code == "seed_out_of_range"
    assert runs is None or change.runs == runs
    assert 0 <= request.prompt["3"]["inputs"]["seed"] <= LARGEST


@pytest.mark.parametrize("sent", [0, LARGEST, "42", 3.0, True, 1.5])
def test_a_valid_seed_stays(sent: Any) -> None:
    """Numbers as text, floats and booleans, which ComfyUI converts, are not changed."""
    request = requested(sent)
    assert (request.prompt, request.repairs, request.seeds) == (with_seed(sent), (), ())


@pytest.mark.parametrize("sent", ["", "random", "1.5", [], {}, float("nan"), float("inf")])
def test_a_seed_that_is_no_number_stays(sent: Any) -> None:
    """Validation rejects it."""
    assert requested(sent).repairs == ()


def test_minus_one_stays_if_the_class_accepts_it() -> None:
    """RES4LYF accepts -1. A number input that is no seed gets no random value."""
    prompt = with_seed(1)
    prompt["5"]["inputs"]["batch_size"] = -1
    prompt["8"] = node("ClownsharKSampler_Beta", **{**prompt["3"]["inputs"], "seed": -1})
    assert "seed_drawn" not in [change.code for change in repair(prompt, CATALOG).repairs]


@pytest.mark.parametrize("options", [{"strict": True}, {"keep_seeds": True}, {"template": "sd15"}])
def test_seeds_are_kept_on_request(options: dict[str, Any]) -> None:
    """With `strict`, with `keep_seeds` and in a template, -1 is left to ComfyUI, which rejects it."""
    fields = (SeedField("3", "seed", 0, LARGEST),) if "template" not in options else ()
    request = requested(-1, **options, seed_fields=fields)
    assert (request.prompt, request.repairs, request.seeds) == (with_seed(-1), (), ())


def test_repair_returns_seed_fields() -> None:
    """repair returns the fields, and a valid placeholder in the prompt."""
    prepared = prepare_prompt(JobRequest(with_seed(-1)), CATALOG, (), Random(1))
    assert prepared.fields == (SeedField("3", "seed", 0, LARGEST),)
    assert [change.runs for change in prepared.repairs] == [None]


def test_the_editor_workflow_gets_the_seeds_that_ran() -> None:
    """The seed is changed in the node, its primitive or its subgraph instance. An ambiguous seed stays."""
    prompt = {number: node("A", seed=5) for number in ("1", "2", "7:3", "8:4")}
    fields = (
        SeedField("1", "seed", 0, 9),
        SeedField("2", "seed", 10, 19, "6"),
        SeedField("7:3", "seed", 20, 29, "7 seed"),
        SeedField("8:4", "seed", 30, 39),
    )
    saved = {"1": [5, 5, "randomize"], "2": [5, "randomize"], "6": [5, "randomize"], "7": ["a", 5], "8": [5]}
    nodes = [{"id": int(number), "widgets_values": values} for number, values in saved.items()]
    extra = ExtraData({"workflow": {"nodes": nodes, "links": []}})
    prepared = prepare_request(JobRequest(prompt, seed_fields=fields, extra=extra), CATALOG, (), Random(1))
    first, second, third, _ = (seed.value for seed in prepared.seeds)
    assert prepared.extra.pnginfo is not None
    written = {
        str(saved_node["id"]): saved_node["widgets_values"]
        for saved_node in prepared.extra.pnginfo["workflow"]["nodes"]
    }
    assert written == {**saved, "1": [5, first, "randomize"], "6": [second, "randomize"], "7": ["a", third]}
    assert nodes[0]["widgets_values"] == [5, 5, "randomize"]


def test_shared_fields_get_the_same_seed() -> None:
    """The seed is within the range of all fields. A field of a missing node is skipped."""
    prompt = {"1": node("A", seed=5), "2": node("B", noise_seed=5), "3": node("C", seed=7)}
    fields = (
        SeedField("1", "seed", 0, LARGEST, "9"),
        SeedField("2", "noise_seed", 3, 4, "9"),
        SeedField("3", "seed", 8, 8),
        SeedField("4", "seed", 0, 9),
    )
    changed, seeds = draw_seeds(prompt, fields, Random(1))
    shared = changed["1"]["inputs"]["seed"]
    assert shared in (3, 4)
    assert seeds == (
        RandomInteger("1", "seed", shared),
        RandomInteger("2", "noise_seed", shared),
        RandomInteger("3", "seed", 8),
    )
    assert prompt["1"]["inputs"]["seed"] == 5
