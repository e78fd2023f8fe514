"""Priors of a GPU class from several machines."""

from __future__ import annotations

import math

import pytest

from tests.load.learning.nodes import ENGINE, estimator, run, sampler
from worker.errors import MixedClassesError
from worker.load.gpu_classes import REFERENCE, GpuClass
from worker.load.learning.branches import branches
from worker.load.learning.estimator import Estimator
from worker.load.learning.learned_state import LearnedState, StateHeader
from worker.load.learning.pooling import apply_priors, of_class, pool
from worker.load.node_work import NodeKind, NodeWork

SHAPES = ("1Mpx", "2Mpx", "4Mpx")
TRUE = {"1Mpx": 1.2, "2Mpx": 1.5, "4Mpx": 2.0}
"""How much longer each shape takes than the closed form, on the average machine."""


def machine(speed: float, *shapes: str, runs: int = 20) -> LearnedState:
    """Return what a machine has learned that takes `speed` times as long as the average, and ran some shapes."""
    learner = estimator()
    for _ in range(runs):
        for shape in shapes:
            run(learner, sampler(10.0, shape=shape), 10.0 * TRUE[shape] * speed)
    return learner.saved()


def predictions(state: LearnedState) -> dict[str, float]:
    """Return the factor that a new machine with these priors predicts for each shape."""
    learner = Estimator({ENGINE: REFERENCE}, state)
    return {shape: learner.node(ENGINE, sampler(10.0, shape=shape)).p50_s / 10.0 for shape in SHAPES}


def test_priors_are_the_mean_of_the_machines() -> None:
    """A new machine predicts what the average machine takes."""
    priors = pool([machine(0.8, *SHAPES), machine(1.0, *SHAPES), machine(1.25, *SHAPES)])
    assert predictions(priors) == pytest.approx(TRUE, rel=0.05)
    assert priors.machines == {}
    assert priors.imported == {REFERENCE.name: 180.0}


def test_a_slow_machine_does_not_make_its_shapes_look_slow() -> None:
    """A shape that only a slow machine ran is compared with what else that machine ran."""
    priors = pool([machine(1.0, "1Mpx", "2Mpx"), machine(1.0, "1Mpx", "2Mpx"), machine(1.6, "1Mpx", "4Mpx")])
    assert predictions(priors)["4Mpx"] == pytest.approx(2.0, rel=0.15)


def test_the_priors_of_one_machine_are_what_it_predicts() -> None:
    """The speed of a single machine cannot be told from that of its class: another machine predicts the same."""
    state = machine(1.4, *SHAPES)
    assert predictions(pool([state])) == pytest.approx(predictions(state), rel=0.03)


def test_a_machine_that_is_slower_than_its_class_is_recognised() -> None:
    """With priors, the slowdown is relative to the class, and is expected of other shapes, too."""
    priors = pool([machine(1.0, *SHAPES), machine(1.05, *SHAPES)])
    learner = Estimator({ENGINE: REFERENCE}, priors)
    assert learner.imported_runs(ENGINE) == 120.0
    for _ in range(15):
        run(learner, sampler(10.0, shape="1Mpx"), 10.0 * TRUE["1Mpx"] * 1.8)
        run(learner, sampler(10.0, shape="2Mpx"), 10.0 * TRUE["2Mpx"] * 1.8)
    assert learner.slowdown(ENGINE) == pytest.approx(1.8, rel=0.1)
    assert learner.node(ENGINE, sampler(10.0, shape="4Mpx")).p50_s == pytest.approx(36.0, rel=0.1)


def test_priors_that_come_later_make_the_slowdown_comparable() -> None:
    """A machine that learned before it got priors keeps its predictions, and its slowdown becomes the true one."""
    slow = machine(1.7, "1Mpx", "2Mpx")
    both = apply_priors(slow, pool([machine(1.0, *SHAPES), machine(1.0, *SHAPES)]))
    before, after = predictions(slow), predictions(both)
    assert after["1Mpx"] == pytest.approx(before["1Mpx"], rel=0.02)
    assert after["4Mpx"] == pytest.approx(2.0 * 1.7, rel=0.1)
    assert Estimator({ENGINE: REFERENCE}, both).slowdown(ENGINE) == pytest.approx(1.7, rel=0.1)
    assert apply_priors(both, pool([machine(1.0, *SHAPES)])).imported == {REFERENCE.name: 60.0}


def test_newer_priors_replace_what_came_from_older_ones() -> None:
    """Shapes that a machine has only from former priors change with the file, also after a restart. Its own stay."""
    older, newer = (pool([machine(speed, *SHAPES), machine(speed, *SHAPES)]) for speed in (1.5, 1.0))
    state = apply_priors(LearnedState(), older)
    learner = Estimator({ENGINE: REFERENCE}, LearnedState.from_json(state.to_json()))
    for _ in range(15):
        run(learner, sampler(10.0, shape="1Mpx"), 10.0 * TRUE["1Mpx"])
    saved = LearnedState.from_json(learner.saved().to_json())
    assert [key.shape for key, effect in saved.shapes.items() if effect.is_own] == ["1Mpx"]
    assert predictions(apply_priors(saved, newer)) == pytest.approx(TRUE, rel=0.1)
    assert predictions(apply_priors(apply_priors(LearnedState(), older), newer)) == pytest.approx(TRUE, rel=0.05)


def test_runs_that_came_with_priors_count_once() -> None:
    """Machines that started with one file export its runs once for each shape, beside their own."""
    first = pool([machine(1.0, "1Mpx", "2Mpx", runs=30)])
    states = []
    for _ in range(4):
        learner = Estimator({ENGINE: REFERENCE}, apply_priors(LearnedState(), first))
        for _ in range(10):
            run(learner, sampler(10.0, shape="1Mpx"), 10.0 * TRUE["1Mpx"])
        states.append(LearnedState.from_json(learner.saved().to_json()))
    priors = pool(states)
    effects = {key.shape: effect for key, effect in priors.shapes.items()}
    assert {shape: effect.runs for shape, effect in effects.items()} == {"1Mpx": 30.0 + 4 * 10.0, "2Mpx": 30.0}
    assert priors.imported == {REFERENCE.name: 100.0}
    known = {key.shape: effect.variance for key, effect in first.shapes.items()}
    assert effects["1Mpx"].variance < known["1Mpx"]
    assert effects["2Mpx"].variance >= known["2Mpx"]  # nobody has run it again


def test_states_of_several_gpu_classes_are_refused() -> None:
    """The error names the classes. One of them can be selected."""
    other = Estimator({ENGINE: GpuClass("Other GPU", 50.0)})
    run(other, sampler(10.0), 20.0)
    states = [machine(1.0, *SHAPES), other.saved()]
    with pytest.raises(MixedClassesError, match="Other GPU, RTX 4090"):
        pool(states)
    assert len(pool([of_class(state, "RTX 4090") for state in states]).shapes) == 3
    with pytest.raises(MixedClassesError, match="no GPU"):
        pool([LearnedState()])


def test_priors_are_for_other_images_and_gpus() -> None:
    """The header of priors has what the machines have in common, without the image and the single GPU."""
    states = [
        LearnedState(StateHeader("image-1", "580.1", "GPU-1", "2.11"), shapes=machine(1.0, "1Mpx").shapes),
        LearnedState(StateHeader("image-1", "580.2", "GPU-2", "2.11"), shapes=machine(1.0, "1Mpx").shapes),
    ]
    assert pool(states).header == StateHeader(torch="2.11")


def test_branches_summarise_the_shapes() -> None:
    """The shapes of a kind and family are one row with its runs and its factor."""
    learner = estimator()
    for shape in SHAPES:
        run(learner, sampler(10.0, shape=shape), *[20.0] * 10)
    run(learner, NodeWork("9", "SaveImage", NodeKind.SAVE, fixed_s=0.2), *[0.1] * 5)
    rows = branches(learner.saved())
    factors = {row.kind: row.factor * (learner.slowdown(ENGINE) if row.root == REFERENCE.name else 1.0) for row in rows}
    assert [(row.root, row.kind, row.family, row.runs) for row in rows] == [
        (REFERENCE.name, "sampler", "flux", 30),
        ("host", "save", "", 5),
    ]
    assert factors == pytest.approx({"sampler": 2.0, "save": 0.5}, rel=0.05)
    assert all(math.isfinite(row.noise) for row in rows)
