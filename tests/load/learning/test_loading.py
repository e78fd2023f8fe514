"""Jobs that load their models first."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.load.learning.nodes import ENGINE, GB, estimator, job, run, sampler
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.learning.residency import ResidentFiles
from worker.load.node_work import JobWork, NodeKind, NodeWork

LOADER = NodeWork("1", "UNETLoader", NodeKind.LOAD, fixed_s=0.01, reads=("flux.safetensors",))
SAMPLER = sampler(10.0, models=("flux.safetensors",))
WORK = job(LOADER, SAMPLER, sizes={"flux.safetensors": 12 * GB})


def play(learner: Estimator, work: JobWork, load_s: float, seconds: float) -> None:
    """Run a job with a loader and a sampler."""
    learner.job(ENGINE, work)
    for node, value in zip(work.nodes, (load_s, seconds), strict=True):
        learner.learn(ENGINE, NodeRun(node, value))
    learner.job_ended(ENGINE, replace(work, ancestry={}))


def test_a_job_that_loads_takes_longer() -> None:
    """Files that are not loaded add seconds: most from the disk, fewer from memory, where they are afterwards."""
    learner = estimator()
    first = learner.load_seconds(ENGINE, WORK)
    assert first == pytest.approx(12 / 0.5 + 12 / 12)
    assert learner.job(ENGINE, WORK).p50_s == pytest.approx(first + 10.01)
    play(learner, WORK, 24.0, 11.0)
    again = learner.load_seconds(ENGINE, WORK)
    assert again == pytest.approx(12 / 2.5 + 12 / 12, rel=0.1)
    assert learner.load_seconds(ENGINE, job(SAMPLER, sizes={"flux.safetensors": 12 * GB})) == 0.0


def test_the_speed_of_the_disk_is_learned() -> None:
    """After a few cold starts, the load is predicted well, although the disk is ten times as fast as assumed."""
    learner = estimator()
    for number in range(6):
        name = f"model-{number}.safetensors"
        work = job(replace(LOADER, reads=(name,)), sampler(models=(name,)), sizes={name: 10 * GB})
        play(learner, work, 2.0, 10.9)
    name = "next.safetensors"
    work = job(replace(LOADER, reads=(name,)), sizes={name: 20 * GB})
    assert learner.job(ENGINE, work).p50_s == pytest.approx(4.0, rel=0.3)


def test_a_cold_run_does_not_make_the_node_look_slow() -> None:
    """The seconds of loading do not count as the sampler's."""
    learner = estimator()
    warm = sampler(10.0)
    run(learner, warm, *[10.0] * 20)
    cold = replace(warm, models=("a", "b"))
    learner.job(ENGINE, job(cold, sizes={"a": 10 * GB, "b": 10 * GB}))
    assert learner.learn(ENGINE, NodeRun(cold, 50.0))
    assert learner.node(ENGINE, warm).p50_s == pytest.approx(10.0, rel=0.03)


def test_a_node_that_is_always_cold_is_learned_all_the_same() -> None:
    """Two models that evict each other are predicted well, although neither ever runs warm."""
    learner = estimator()
    learner.set_memory(ENGINE, 12 * GB, 64 * GB)
    works = [
        job(replace(LOADER, reads=(name,)), sampler(10.0, family=name, models=(name,)), sizes={name: 10 * GB})
        for name in ("one", "two")
    ]
    for _ in range(15):
        for work, seconds in zip(works, (30.0, 5.0), strict=True):
            play(learner, work, 3.0, seconds)
    for work, seconds in zip(works, (30.0, 5.0), strict=True):
        assert learner.job(ENGINE, work).p50_s == pytest.approx(3.0 + seconds, rel=0.2)


def test_files_that_turn_out_to_be_loaded_are_expected_to_be_next_time() -> None:
    """The assumed size of the GPU's memory grows when a model is still there that should have been evicted."""
    learner = estimator()
    learner.set_memory(ENGINE, 12 * GB, 64 * GB)
    works = [job(sampler(0.2, family=name, models=(name,)), sizes={name: 10 * GB}) for name in ("one", "two")]
    for work in works:
        learner.job(ENGINE, work)
        run(learner, work.nodes[0], *[0.2] * 10)
    assert learner.gpu_bytes(ENGINE) == 12 * GB
    for work in works * 3:
        run(learner, work.nodes[0], 0.2)
    assert learner.gpu_bytes(ENGINE) >= 20 * GB
    assert learner.load_seconds(ENGINE, works[0]) == 0.0


def test_a_restart_of_the_engine_empties_the_gpu_but_not_the_page_cache() -> None:
    """After a restart, files load from the memory of the machine."""
    learner = estimator()
    play(learner, WORK, 24.0, 11.0)
    work = job(SAMPLER, sizes={"flux.safetensors": 12 * GB})
    assert learner.load_seconds(ENGINE, work) == 0.0
    learner.engine_restarted(ENGINE)
    assert 0.0 < learner.load_seconds(ENGINE, work) < 3.0


def test_the_memory_keeps_the_files_that_were_used_last() -> None:
    """The first file is evicted when the memory is full, and the last one is always there."""
    memory = ResidentFiles(10.0)
    for name, size in (("a", 4.0), ("b", 4.0), ("c", 4.0)):
        memory.use(name, size)
    assert [name in memory for name in "abc"] == [False, True, True]
    memory.use("huge", 50.0)
    assert [name in memory for name in ("b", "c", "huge")] == [False, False, True]
    memory.clear()
    assert "huge" not in memory


def test_a_wrong_belief_corrects_the_capacity() -> None:
    """A file that was there makes the memory larger; one that was not makes it smaller."""
    memory = ResidentFiles(10.0)
    for name in "abcd":
        memory.use(name, 4.0)
    memory.were_resident(["b"])
    assert [name in memory for name in "abcd"] == [False, True, True, True]
    memory.were_evicted(["d", "c"])
    assert [name in memory for name in "abcd"] == [False, False, False, True]


def test_an_outlier_is_no_eviction() -> None:
    """A single slow node does not show that its model was evicted. Two in a row that fit to a load do."""
    learner = estimator()
    learner.set_memory(ENGINE, 80 * GB, 200 * GB)
    nodes = [sampler(1.0, family=name, models=(name,)) for name in ("one", "two")]
    for node in nodes:
        learner.job(ENGINE, job(node, sizes={node.family: 12 * GB}))
        run(learner, node, *[1.0] * 10)
    run(learner, nodes[0], 2.0)
    assert learner.gpu_bytes(ENGINE) == 80 * GB
    for node in (nodes[1], nodes[0], nodes[1]):
        run(learner, node, 2.0)
    assert learner.gpu_bytes(ENGINE) < 24 * GB


def test_a_model_in_use_is_not_evicted_however_slow_its_nodes_are() -> None:
    """Nodes in a row that use one model and become slower are slower, also if a load would take as long."""
    learner = estimator()
    node = sampler(2.0, models=("flux.safetensors",))
    learner.job(ENGINE, job(LOADER, node, sizes={"flux.safetensors": 12 * GB}))
    for seconds in (2.0, 3.0):
        loads = [learner.learn(ENGINE, NodeRun(node, seconds)) for _ in range(12)]
        assert loads[1:] == [None] * 11
    assert learner.node(ENGINE, node).p50_s == pytest.approx(3.0, rel=0.1)
