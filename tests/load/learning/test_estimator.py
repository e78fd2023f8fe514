"""What the estimator learns from single nodes."""

from __future__ import annotations

import math
import random
from dataclasses import replace

import pytest

from tests.load.learning.nodes import ENGINE, estimator, job, run, sampler
from worker.load.gpu_classes import REFERENCE, GpuClass
from worker.load.learning.effect_tree import MAX_SHAPES, EffectTree, Key
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.node_work import NodeKind, NodeWork

DECODE = NodeWork("8", "VAEDecode", NodeKind.VAE_DECODE, "flux", tflop=REFERENCE.tflops)
SAVE = NodeWork("9", "SaveImage", NodeKind.SAVE, fixed_s=0.2)


def test_before_anything_is_learned_the_closed_form_counts() -> None:
    """The median is the closed form's, and p90 is far above it."""
    prediction = estimator().node(ENGINE, sampler(10.0))
    assert prediction.p50_s == pytest.approx(10.0)
    assert prediction.p90_s > 15.0


def test_one_run_teaches_the_shape_and_a_few_make_it_certain() -> None:
    """One run moves the median most of the way. After ten, p90 is near the median."""
    learner = estimator()
    run(learner, sampler(10.0), 20.0)
    assert learner.node(ENGINE, sampler(10.0)).p50_s == pytest.approx(20.0, rel=0.1)
    run(learner, sampler(10.0), *[20.0] * 14)
    prediction = learner.node(ENGINE, sampler(10.0))
    assert prediction.p50_s == pytest.approx(20.0, rel=0.01)
    assert prediction.p90_s < 24.0


def test_a_job_takes_the_usual_time_before_its_first_node_too() -> None:
    """The median of the last runs of the same engine counts, so a single late one does not."""
    learner, work = estimator(ENGINE, "engine-1"), job(sampler(10.0))
    before = learner.job(ENGINE, work)
    for seconds in (0.1, 0.3, 60.0, 0.1, 0.3):
        learner.setup_times.learn(ENGINE, seconds)
    assert learner.job(ENGINE, work).p50_s == pytest.approx(before.p50_s + 0.3)
    assert learner.job("engine-1", work) == before


def test_what_one_shape_teaches_moves_its_relatives() -> None:
    """Other shapes of the family move almost as much, other families less, and other kinds of nodes still less."""
    learner = estimator()
    for number in range(6):
        run(learner, sampler(10.0, shape=f"{number}Mpx"), *[20.0] * 5)
    family = learner.node(ENGINE, sampler(10.0, shape="9Mpx")).p50_s
    other_family = learner.node(ENGINE, sampler(10.0, family="sdxl")).p50_s
    other_kind = learner.node(ENGINE, replace(DECODE, tflop=10 * REFERENCE.tflops)).p50_s
    assert 20.0 > family > other_family > other_kind > 11.0
    assert family > 18.0


@pytest.mark.parametrize(("closed_form_s", "seconds"), [(5000.0, 0.003), (0.01, 7000.0)])
def test_a_node_that_is_absurdly_far_from_the_closed_form_moves_others_little(
    closed_form_s: float, seconds: float
) -> None:
    """A node that costs nothing although the closed form expects hours, or the reverse, moves other models by less than
    a factor of two, and neither a model that was known before nor the machine.
    """
    learner = estimator()
    run(learner, sampler(10.0, family="sdxl"), *[10.0] * 5)
    absurd = sampler(closed_form_s, family="unknown")
    run(learner, absurd, *[seconds] * 12)
    assert seconds / 2 < learner.node(ENGINE, absurd).p50_s < seconds * 2
    assert learner.slowdown(ENGINE) == pytest.approx(1.0, rel=0.01)
    assert 5.0 < learner.node(ENGINE, sampler(10.0, family="flux")).p50_s < 20.0
    assert learner.node(ENGINE, sampler(10.0, family="sdxl")).p50_s == pytest.approx(10.0, rel=0.05)


def test_the_gpus_speed_has_no_effect_on_other_nodes() -> None:
    """On a GPU that is much slower than its class, files are saved as fast as elsewhere."""
    learner = estimator()
    run(learner, sampler(10.0), *[40.0] * 20)
    assert learner.node(ENGINE, SAVE).p50_s == pytest.approx(0.2)


def test_an_outlier_has_little_effect() -> None:
    """One run that takes ten times as long moves the median by less than 5 %, even if it is one of the first five."""
    for before in (2, 30):
        learner = estimator()
        run(learner, sampler(10.0), *[10.0] * before, 100.0, *[10.0] * 2)
        assert learner.node(ENGINE, sampler(10.0)).p50_s == pytest.approx(10.0, rel=0.05)


def test_a_shape_that_changes_for_good_is_followed() -> None:
    """A shape that takes three times as long from one job on is predicted well after ten of them."""
    learner = estimator()
    run(learner, sampler(10.0, family="sdxl"), *[10.0] * 40)
    run(learner, sampler(10.0), *[10.0] * 40, *[30.0] * 10)
    assert learner.node(ENGINE, sampler(10.0)).p50_s == pytest.approx(30.0, rel=0.1)


def test_a_node_without_a_prior_is_learned() -> None:
    """A node of a class that was never seen, and to which the closed form gives 0 seconds, is learned at once."""
    learner, node = estimator(), NodeWork("1", "PackNode")
    assert 0 < learner.node(ENGINE, node).p50_s < 1.0
    run(learner, node, 30.0, 30.0)
    assert learner.node(ENGINE, node).p50_s == pytest.approx(30.0, rel=0.25)


def test_a_cancelled_node_teaches_only_that_it_takes_longer() -> None:
    """A node that was cancelled early teaches nothing. One that ran for longer than expected raises the prediction."""
    learner, node = estimator(), sampler(10.0)
    run(learner, node, *[10.0] * 5)
    before = learner.node(ENGINE, node)
    learner.learn(ENGINE, NodeRun(node, 4.0, completed=False))
    assert learner.node(ENGINE, node) == before
    learner.learn(ENGINE, NodeRun(node, 14.0, completed=False))
    assert learner.node(ENGINE, node).p50_s > before.p50_s


@pytest.mark.parametrize("seconds", [0.0, -1.0, math.nan, math.inf, 1e9])
def test_impossible_seconds_teach_nothing(seconds: float) -> None:
    """Seconds that no node can take are ignored."""
    learner, node = estimator(), sampler(10.0)
    run(learner, node, *[12.0] * 3)
    before = learner.node(ENGINE, node)
    run(learner, node, seconds)
    assert learner.node(ENGINE, node) == before


def test_cached_nodes_cost_nothing() -> None:
    """A job is predicted without its cached nodes."""
    learner = estimator()
    work = job(sampler(10.0), DECODE, SAVE)
    assert learner.job(ENGINE, work).p50_s == pytest.approx(11.2)
    assert learner.job(ENGINE, work, cached={"3", "8"}).p50_s == pytest.approx(0.2)
    assert learner.job(ENGINE, work, cached={"3", "8", "9"}).p90_s == 0.0


def test_the_nodes_of_the_last_job_are_expected_to_be_cached() -> None:
    """Nodes with the ancestry of the last job's are cached on its engine, until the engine starts again."""
    learner = estimator("engine-0", "engine-1")
    first = job(DECODE, SAVE, ancestry={"8": b"one", "9": b"two"})
    second = job(DECODE, SAVE, ancestry={"8": b"one", "9": b"other"})
    assert learner.expect_cached("engine-0", first) == frozenset()
    learner.job_ended("engine-0", first)
    assert learner.expect_cached("engine-0", second) == {"8"}
    assert learner.expect_cached("engine-1", second) == frozenset()
    learner.job_ended("engine-0", second, completed={"9"})
    assert learner.expect_cached("engine-0", second) == {"9"}
    learner.engine_restarted("engine-0")
    assert learner.expect_cached("engine-0", second) == frozenset()


def test_engines_with_equal_gpus_share_what_they_learn_except_their_speed() -> None:
    """A family that is slow on one GPU is slow on the other, too. A slow GPU does not make the other slow."""
    learner = estimator("engine-0", "engine-1")
    for seconds in [15.0] * 30:
        run(learner, sampler(10.0), seconds)
        run(learner, sampler(10.0), 2 * seconds, engine="engine-1")
    new = sampler(10.0, shape="4Mpx")
    assert learner.node("engine-0", sampler(10.0)).p50_s == pytest.approx(15.0, rel=0.03)
    assert learner.node("engine-1", sampler(10.0)).p50_s == pytest.approx(30.0, rel=0.03)
    assert learner.node("engine-1", new).p50_s == pytest.approx(2 * learner.node("engine-0", new).p50_s, rel=0.05)
    assert learner.slowdown("engine-1") / learner.slowdown("engine-0") == pytest.approx(2.0, rel=0.05)


def test_engines_with_other_gpus_learn_apart() -> None:
    """What one class of GPUs teaches has no effect on another class."""
    learner = Estimator({"engine-0": REFERENCE, "engine-1": GpuClass("other", REFERENCE.tflops)})
    run(learner, sampler(10.0), *[30.0] * 10)
    assert learner.node("engine-1", sampler(10.0)).p50_s == pytest.approx(10.0)


def test_random_observations_never_give_impossible_predictions() -> None:
    """Whatever ran, a prediction is positive and finite, p90 is not below the median, and the state can be stored."""
    draw = random.Random(7)
    learner = estimator("engine-0", "engine-1")
    for _ in range(4000):
        engine = draw.choice(("engine-0", "engine-1", "unknown"))
        node = NodeWork(
            "1",
            draw.choice("abc"),
            draw.choice(list(NodeKind)),
            family=draw.choice(("", "flux", "wan")),
            shape=draw.choice("xyz"),
            tflop=draw.choice((0.0, 1e-9, 1.0, 1e12, math.inf, math.nan)),
            fixed_s=draw.choice((0.0, 0.01, 100.0)),
            models=draw.choice(((), ("a",), ("a", "b"))),
            reads=draw.choice(((), ("a",))),
        )
        seconds = draw.choice((0.0, -1.0, math.nan, math.inf, 1e-9, math.exp(draw.uniform(-7.0, 9.0))))
        learner.learn(engine, NodeRun(node, seconds, completed=draw.random() < 0.9))
        if draw.random() < 0.3:
            learner.job_ended(engine, job(node, sizes={"a": draw.choice((0, 1, 10**13))}))
        prediction = learner.job(engine, job(node))
        assert 0.0 < prediction.p50_s <= prediction.p90_s < math.inf
        assert 0.0 < learner.slowdown(engine) < math.inf
    for effect in learner.saved().shapes.values():
        assert math.isfinite(effect.mean)
        assert 0.0 < effect.variance < math.inf


def test_the_shapes_that_ran_longest_ago_are_forgotten() -> None:
    """At most `MAX_SHAPES` shapes are kept, those that ran last."""
    tree = EffectTree()
    for number in range(MAX_SHAPES + 50):
        tree.use(Key("gpu", "sampler", "flux", "", "KSampler", str(number))).learn(0.1, 0.01)
        tree.use(Key("gpu", "sampler", "flux", "", "KSampler", "often")).learn(0.1, 0.01)
    shapes = [key.shape for key, _ in tree]
    assert len(shapes) == MAX_SHAPES
    assert "often" in shapes
    assert "0" not in shapes


def test_forgotten_shapes_leave_nothing_behind() -> None:
    """The effects above a shape are those of the shapes that are left."""
    tree = EffectTree()
    for number in range(MAX_SHAPES + 100):
        tree.use(Key("gpu", "sampler", "flux", "", "KSampler", str(number))).learn(1.0 if number < 100 else 0.0, 0.01)
    new = tree.find(Key("gpu", "sampler", "flux", "", "KSampler", "new"))
    assert new.moments().mean == pytest.approx(0.0, abs=1e-6)


def test_a_machine_that_needs_more_than_twice_as_long_is_noticed_in_the_third_job() -> None:
    """Two slow jobs may be outliers. The third shows that the machine is slow, and its correction follows."""
    learner = estimator()
    run(learner, sampler(10.0), *[10.0] * 20)
    drifts = []
    for _ in range(3):
        learner.learn(ENGINE, NodeRun(sampler(10.0), 22.0))
        drifts.append(learner.job_ended(ENGINE, job(sampler(10.0), ancestry={})))
    assert drifts[:2] == [None, None]
    assert drifts[2] is not None
    assert drifts[2].factor > 1.8
    run(learner, sampler(10.0), 22.0, 22.0)
    assert learner.slowdown(ENGINE) > 1.3


def test_single_outliers_are_no_slow_machine() -> None:
    """Nodes that take three times as long between others raise no alarm."""
    learner = estimator()
    run(learner, sampler(10.0), *[10.0] * 20)
    for seconds in (30.0, 30.0, 10.0, 10.0, 10.0) * 3:
        learner.learn(ENGINE, NodeRun(sampler(10.0), seconds))
        drift = learner.job_ended(ENGINE, job(sampler(10.0), ancestry={}))
        assert drift is None or drift.factor < 2
