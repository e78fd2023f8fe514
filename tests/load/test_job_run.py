"""The times of the nodes of one run, and the seconds that the run still needs."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from worker.load.forecast import Forecast
from worker.load.job_run import JobRun
from worker.load.node_work import NodeKind, NodeWork
from worker.load.prediction import Prediction
from worker.workflow.prompt import Prompt

PREDICTED = {"load": 2.0, "sample": 10.0, "decode": 1.0, "save": 0.5}
KINDS = {"load": NodeKind.LOAD, "sample": NodeKind.SAMPLER, "api": NodeKind.API, "api-2": NodeKind.API}


def run_of(predicted: dict[str, float] = PREDICTED, load_s: float = 0.0, cached: Sequence[str] = ()) -> JobRun:
    """Return a run of nodes that are linked one after the other, with their predicted seconds."""
    names = list(predicted)
    prompt: Prompt = {}
    for name, source in zip(names, ["", *names], strict=False):
        prompt[name] = {"class_type": name, "inputs": {"x": [source, 0]} if source else {}}
    models = {"load": {"reads": ("a",)}, "sample": {"models": ("a",)}}
    work = {
        name: NodeWork(name, name, KINDS.get(name, NodeKind.OTHER), **models.get(name, {}))  # type: ignore[arg-type]
        for name in names
    }
    nodes = {name: Prediction(seconds, 1.5 * seconds) for name, seconds in predicted.items()}
    seconds = sum(seconds for name, seconds in predicted.items() if name not in cached) + load_s
    return JobRun(prompt, work, Forecast("engine-0", Prediction(seconds, 1.5 * seconds), nodes, load_s, cached), 0.0)


def seconds_of(run: JobRun, now: float, *, succeeded: bool = True) -> dict[str, tuple[float, bool]]:
    """Return the measured seconds of each node, and whether it ran to its end."""
    measured = run.measured(now, succeeded=succeeded)
    return {each.node.node_id: (pytest.approx(each.seconds), each.completed) for each in measured}


def test_a_node_ends_when_the_next_one_starts() -> None:
    """Each node takes the time until the next start, and the last one until the end of the run."""
    run = run_of()
    for now, name in ((0.0, "load"), (1.0, "sample"), (9.0, "decode"), (9.5, "save")):
        run.start_node(name, now)
    assert seconds_of(run, 10.0) == {name: (s, True) for name, s in zip(PREDICTED, (1.0, 8.0, 0.5, 0.5), strict=True)}


def test_the_time_before_the_first_node_is_setup() -> None:
    """It is known once a node has started, and later nodes do not change it."""
    run = run_of()
    assert run.setup_s is None
    run.start_node("load", 0.25)
    run.start_node("sample", 2.0)
    assert run.setup_s == 0.25


def test_only_the_running_node_is_cut_short() -> None:
    """A run that fails or is cancelled has completed the nodes before the running one. Later seconds do not count."""
    run = run_of()
    run.start_node("load", 0.0)
    run.start_node("sample", 2.0)
    run.stop(6.0)
    assert seconds_of(run, 9.0, succeeded=False) == {"load": (2.0, True), "sample": (4.0, False)}
    assert run.stopped_node == "sample"


def test_a_node_that_starts_twice_has_the_sum() -> None:
    """A node that waits for lazy inputs starts a second time, and its two parts are added."""
    run = run_of()
    for now, name in ((0.0, "sample"), (0.5, "load"), (3.5, "sample"), (7.5, "save")):
        run.start_node(name, now)
    assert seconds_of(run, 8.0)["sample"] == (4.5, True)
    assert seconds_of(run, 8.0)["load"] == (3.0, True)


def test_added_nodes_belong_to_the_node_that_added_them() -> None:
    """Nodes that ComfyUI adds during the run, at any depth, count for their node. Unknown nodes count for none."""
    run = run_of()
    for now, name in ((0.0, "load"), (1.0, "sample"), (1.1, "sample.0.0.7"), (3.0, "sample.0.0.7.1.2"), (5.0, "x")):
        run.start_node(name, now)
    run.start_node("decode", 8.0)
    assert seconds_of(run, 9.0) == {"load": (1.0, True), "sample": (4.0, True), "decode": (1.0, True)}


def test_nodes_beside_each_other_are_not_measured() -> None:
    """Two nodes that wait for other machines run at once, and nobody knows which of them took the time."""
    run = run_of({"api": 5.0, "api-2": 5.0, "save": 0.5})
    run.prompt["api-2"]["inputs"].clear()
    for now, name in ((0.0, "api"), (0.0, "api-2"), (9.0, "save")):
        run.start_node(name, now)
    assert seconds_of(run, 9.5) == {}
    alone = run_of({"api": 5.0, "save": 0.5})
    alone.start_node("api", 0.0)
    alone.start_node("save", 6.0)
    assert seconds_of(alone, 6.5) == {"api": (6.0, True), "save": (0.5, True)}


def test_steps_of_another_node_show_that_both_run() -> None:
    """A node whose steps arrive while another one runs is not measured, and neither is the other."""
    run = run_of()
    run.start_node("sample", 0.0)
    run.start_node("decode", 1.0)
    run.step("sample", 3, 20, 2.0)
    assert seconds_of(run, 5.0) == {}


def test_what_remains_falls_with_each_node() -> None:
    """Before the first node everything remains, and each node takes its seconds away, cached ones at once."""
    run = run_of()
    assert run.remaining(0.0) == Prediction(13.5, pytest.approx(1.5 * 13.5))
    run.record_cached(["load"])
    assert run.remaining(0.0).p50_s == 11.5
    run.start_node("sample", 0.0)
    assert run.remaining(0.0).p50_s == 11.5
    assert 11.5 > run.remaining(3.0).p50_s > 8.0
    run.start_node("decode", 12.0)
    assert run.remaining(12.0).p50_s == 1.5
    run.start_node("save", 12.2)
    assert run.remaining(12.2).p50_s == 0.5


def test_without_a_report_nothing_was_cached() -> None:
    """ComfyUI reports the cached nodes before the first node starts. An expectation without a report was wrong."""
    run = run_of(cached=["load", "sample"])
    assert run.remaining(0.0).p50_s == 1.5
    run.start_node("load", 0.0)
    assert run.remaining(0.0).p50_s == 13.5


def test_the_time_of_steps_replaces_the_prediction() -> None:
    """After a few steps, the rest of a node follows from the median of the last ones, whatever was predicted."""
    run = run_of()
    run.record_cached(["load"])
    run.start_node("sample", 0.0)
    for step, now in enumerate((4.0, 6.0, 6.5, 7.0, 7.6), start=1):  # it loads its model first
        run.step("sample", step, 20, now)
    assert run.remaining(7.6).p50_s == pytest.approx(15 * 0.5 + 1.5)
    assert run.remaining(7.6).p90_s == pytest.approx(15 * 0.6 + 1.5 * 1.5)
    assert run.remaining(7.8).p50_s == pytest.approx(14 * 0.5 + 0.3 + 1.5)
    assert run.remaining(60.0).p50_s == pytest.approx(14 * 0.5 + 1.5)  # the step hangs, and the others are to come


def test_a_node_that_counts_again_has_no_known_end() -> None:
    """A node whose steps begin anew, as for each tile, is predicted by its time alone."""
    run = run_of({"sample": 100.0})
    run.start_node("sample", 0.0)
    for now in range(1, 21):
        run.step("sample", now, 20, float(now))
    assert run.remaining(20.0).p50_s == 0
    run.step("sample", 1, 20, 21.0)
    assert 60 < run.remaining(21.0).p50_s < 100


def test_loading_remains_until_it_was_spent() -> None:
    """What a node takes longer than with loaded models counts as loading, and no more of it remains afterwards."""
    run = run_of(load_s=6.0)
    assert run.remaining(0.0).p50_s == 19.5
    run.start_node("load", 0.0)
    run.start_node("sample", 5.0)  # 3 s longer than with the file in memory
    assert run.remaining(5.0).p50_s == pytest.approx(10.0 + 1.5 + 3.0)
    run.start_node("decode", 30.0)
    assert run.remaining(30.0).p50_s == 1.5


def test_a_node_that_goes_on_after_its_job_remains() -> None:
    """The seconds of an interrupted node remain, because it may not stop. The other nodes do not run any more."""
    run = run_of()
    run.start_node("sample", 0.0)
    run.stop(2.0)
    assert 7.0 < run.node_remaining(2.0).p50_s < 10.0


def test_a_run_without_events_is_predicted_by_its_time() -> None:
    """Once no more events can arrive, what remains follows from the time since the start of the run."""
    run = run_of()
    run.start_node("load", 0.0)
    run.lose_events(1.0)
    assert run.remaining(10.0).p50_s < run.remaining(1.0).p50_s < 13.5
    assert seconds_of(run, 12.0) == {"load": (1.0, False)}
