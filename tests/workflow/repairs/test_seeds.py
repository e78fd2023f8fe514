"""Seeds out of range: which run, and which are drawn anew."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest

from tests.workflow.prompts import node, sampled
from worker.extra_data import ExtraData
from worker.job import JobRequest, RandomInteger
from worker.prompt_changes import SeedField
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
def test_a_seed_below_its_range_is_drawn(sent: Any) -> None:
    """A fresh one for each job, named among the seeds and in the repair."""
    request = requested(sent)
    [seed], [one] = request.seeds, request.repairs
    assert (seed.node_id, seed.input, seed.value) == ("3", "seed", request.prompt["3"]["inputs"]["seed"])
    assert (one.code, one.sent, one.runs) == ("seed_drawn", sent, seed.value)
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
def test_a_seed_above_its_range_is_always_the_same(sent: Any, runs: int | None) -> None:
    """Seeds begin again behind the largest, which JavaScript rounds up; none is drawn."""
    request = requested(sent)
    assert request.seeds == ()
    [one] = request.repairs
    assert one.code == "seed_out_of_range"
    assert runs is None or one.runs == runs
    assert 0 <= request.prompt["3"]["inputs"]["seed"] <= LARGEST


@pytest.mark.parametrize("sent", [0, LARGEST, "42", 3.0, True, 1.5])
def test_a_seed_that_comfyui_takes_stays(sent: Any) -> None:
    """Numbers as text, floats and booleans are its own business."""
    request = requested(sent)
    assert (request.prompt, request.repairs, request.seeds) == (with_seed(sent), (), ())


@pytest.mark.parametrize("sent", ["", "random", "1.5", [], {}, float("nan"), float("inf")])
def test_what_is_no_number_is_refused_later(sent: Any) -> None:
    """It has no certain meaning."""
    assert requested(sent).repairs == ()


def test_minus_one_is_a_seed_where_the_class_says_so() -> None:
    """RES4LYF takes -1 itself, and a number that is no seed has no fresh one."""
    prompt = with_seed(1)
    prompt["5"]["inputs"]["batch_size"] = -1
    prompt["8"] = node("ClownsharKSampler_Beta", **{**prompt["3"]["inputs"], "seed": -1})
    assert "seed_drawn" not in [one.code for one in repair(prompt, CATALOG).repairs]


@pytest.mark.parametrize("options", [{"strict": True}, {"keep_seeds": True}, {"template": "sd15"}])
def test_seeds_that_are_kept(options: dict[str, Any]) -> None:
    """Strict, with `keep_seeds` and in a template -1 is what it is for ComfyUI: refused."""
    fields = (SeedField("3", "seed", 0, LARGEST),) if "template" not in options else ()
    request = requested(-1, **options, seed_fields=fields)
    assert (request.prompt, request.repairs, request.seeds) == (with_seed(-1), (), ())


def test_what_a_check_says_of_seeds() -> None:
    """The fields, a prompt that ComfyUI takes, and no number that would never run."""
    ready = prepare_prompt(JobRequest(with_seed(-1)), CATALOG, (), Random(1))
    assert ready.fields == (SeedField("3", "seed", 0, LARGEST),)
    assert [one.runs for one in ready.repairs] == [None]


def test_the_editors_file_has_the_seeds_that_ran() -> None:
    """In the node itself, its primitive, or the instance that shows it; where it is not certain, it stays."""
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
    ready = prepare_request(JobRequest(prompt, seed_fields=fields, extra=extra), CATALOG, (), Random(1))
    one, two, three, _ = (seed.value for seed in ready.seeds)
    assert ready.extra.pnginfo is not None
    written = {str(one["id"]): one["widgets_values"] for one in ready.extra.pnginfo["workflow"]["nodes"]}
    assert written == {**saved, "1": [5, one, "randomize"], "6": [two, "randomize"], "7": ["a", three]}
    assert nodes[0]["widgets_values"] == [5, 5, "randomize"]


def test_fields_that_one_field_feeds_have_one_seed() -> None:
    """Within what all of them take; a field of a node that is not there is left out."""
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
