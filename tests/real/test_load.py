"""The comparison of predicted work with recorded runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from real.engine_log import RecordedRun
from real.load.comparison import ComparedRun, LoadComparison, LoadFact
from real.load.page import differences, section
from real.load.sampling_prompts import LoadCase, load_cases
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.validate import validate

CATALOG = bundled_catalog()
CASES = {f"{case.group}: {case.name}": case for case in load_cases(CATALOG)}
EULER = CASES["samplers: euler"]


def ran(case: LoadCase = EULER, cached: tuple[str, ...] = (), **changed: Any) -> ComparedRun:
    """Return a run in which everything happened as predicted, except for the changes."""
    executed = [node_id for node_id in case.prompt if node_id not in cached]
    steps = {"sampler": 2.0} if "sampler" in executed else {}
    run = RecordedRun(dict(case.prompt), executed, list(cached), steps, end="execution_success")
    return ComparedRun(case.group, case.name, replace(run, **changed), case.reason)


def compared(*runs: ComparedRun) -> LoadComparison:
    """Return the comparison of runs of one engine."""
    load = LoadComparison()
    for run in runs:
        load.add(run, CATALOG)
    return load


def test_the_prompts_are_valid_and_have_names_of_their_own() -> None:
    """Each prompt is accepted by the validation, and no two prompts of a group have the same name."""
    assert len(CASES) == sum(1 for _ in load_cases(CATALOG)) > 100
    assert [name for name, case in CASES.items() if not validate(case.prompt, CATALOG, AssumeFiles()).accepted] == []
    assert {case.group for case in CASES.values()} >= {"samplers", "sigmas", "guiders", "RES4LYF", "graphs", "repeats"}


def test_runs_as_predicted_have_no_differences() -> None:
    """A run, and a repeated run whose nodes were all cached, count as predicted correctly."""
    load = compared(ran(), ran(cached=tuple(EULER.prompt)))
    assert load.differing == load.known == []
    counts = {fact: (count.right, count.total) for fact, count in load.counts["samplers"].items()}
    assert counts == {LoadFact.RAN: (6, 6), LoadFact.STEPS: (1, 1), LoadFact.CACHED: (12, 12)}
    assert load.prompts == {"samplers": 2}


@pytest.mark.parametrize(
    ("changed", "line"),
    [
        ({"executed": ["model", "positive", "negative", "latent", "sampler"]}, "node out PreviewAny did not run"),
        ({"steps": {"sampler": 3.0}}, "node sampler KSampler reported 3 steps, predicted 2"),
        ({"steps": {}}, "node sampler KSampler reported 0 steps, predicted 2"),
    ],
)
def test_a_run_that_differs_is_named(changed: dict[str, Any], line: str) -> None:
    """A node that did not run, and other steps, are differences of the run."""
    assert compared(ran(**changed)).differing == [f"euler (samplers): {line}"]


def test_a_node_that_no_output_needs_must_not_run() -> None:
    """A node that ran although no output needs it is a difference. So is one that was cached without an earlier run."""
    case = CASES["graphs: nodes that no output needs"]
    load = compared(ran(case, executed=list(case.prompt), steps={"sampler": 3.0}))
    assert [line.split(": ")[1] for line in load.differing] == [
        "node x KSampler ran, which was not predicted",
        "node y EmptyImage ran, which was not predicted",
    ]
    unexpected = compared(ran(cached=("latent",)))
    assert unexpected.differing == [
        "euler (samplers): node latent EmptyLatentImage was cached, which was not predicted"
    ]


def test_of_equal_nodes_one_runs() -> None:
    """Of two nodes with the same inputs, ComfyUI runs one, which is no difference."""
    case = CASES["graphs: two equal samplers"]
    executed = [node_id for node_id in case.prompt if node_id not in {"again", "second"}]
    assert compared(ran(case, executed=executed, steps={"sampler": 3.0})).differing == []


def test_results_are_expected_for_the_next_job_only() -> None:
    """A node must be cached if the last job had it. After another job, it may be cached or run."""
    other = CASES["repeats: one without a model"]
    again = compared(ran(), ran())
    assert len(again.differing) == len(EULER.prompt)
    assert again.differing[0].endswith("node model CheckpointLoaderSimple was not cached, which was predicted")
    assert compared(ran(), ran(other), ran()).differing == []
    assert compared(ran(), ran(other), ran(cached=tuple(EULER.prompt))).differing == []


def test_nodes_behind_one_that_is_never_cached_are_not_compared() -> None:
    """A class that ComfyUI never caches, and the nodes that use its result, may run again."""
    cached = ("model", "latent", "positive", "negative")
    again = replace(ran(cached=cached), uncached=("sampler",))
    load = compared(ran(), again)
    assert load.differing == []
    assert load.counts["samplers"][LoadFact.CACHED].total == 10


def test_a_failed_run_compares_cached_nodes_only() -> None:
    """The nodes that failed, or that were not reached, are no differences, and are not expected to be cached."""
    failed = ran(executed=["model", "latent", "positive"], end="execution_error")
    assert compared(failed, ran(cached=("model", "latent"))).differing == []
    assert LoadFact.RAN not in compared(failed).counts["samplers"]


def test_the_page_shows_counts_and_differences() -> None:
    """The section has a row for each group. Differences with a reason are listed apart, and do not fail the suite."""
    case = CASES["RES4LYF: a part of the steps"]
    shared = ("model", "latent", "positive", "negative")
    load = compared(ran(), ran(case, cached=shared, steps={"sampler": 5.0}))
    text = section(load)
    assert "| samplers | 1 | 6 of 6 | 1 of 1 | 6 of 6 |" in text
    assert "| RES4LYF | 1 | 2 of 2 | 0 of 1 | 6 of 6 |" in text
    assert f"reported 5 steps, predicted 2: {case.reason}" in text
    assert list(differences(load)) == []
    assert "No differences without a known reason." in text
