"""Both ways in which ComfyUI loads checkpoints: loaders read them, or the first nodes that use a part of them."""

from __future__ import annotations

import random
import statistics
from dataclasses import dataclass

import pytest

from tests.load.learning.nodes import ENGINE, GB, estimator
from worker.load.gpu_classes import REFERENCE
from worker.load.learning.estimator import NodeRun
from worker.load.node_work import JobWork, NodeKind, NodeWork

DISK, PAGE_CACHE, BUS = 0.8 * GB, 3.0 * GB, 9.0 * GB
"""True speeds in bytes a second."""
WARM_S = {"text": 0.06, "sampler": 5.0, "decode": 0.1}
SHARES = {"text": 0.15, "sampler": 0.82, "decode": 0.03}
"""True shares of the parts of a checkpoint."""


@dataclass(frozen=True)
class PlayedLoad:
    """What was predicted for a job, divided by what it took."""

    ratio: float
    is_cold: bool


def checkpoint_job(file: str, size: int, number: int) -> JobWork:
    """Return a job that uses all parts of a checkpoint."""
    nodes = (
        NodeWork("loader", "CheckpointLoaderSimple", NodeKind.LOAD, fixed_s=0.01, reads=(file,)),
        NodeWork("text", "CLIPTextEncode", NodeKind.TEXT_ENCODE, file, tflop=5.0, models=(file,)),
        NodeWork("sampler", "KSampler", NodeKind.SAMPLER, file, tflop=REFERENCE.tflops * 4.0, models=(file,)),
        NodeWork("decode", "VAEDecode", NodeKind.VAE_DECODE, file, tflop=5.0, models=(file,)),
    )
    ancestry = {"loader": file.encode(), **{node: f"{node} {number}".encode() for node in WARM_S}}
    return JobWork(nodes, 0.0, ancestry, {file: size})


def play(jobs: int, *, lazy: bool) -> list[PlayedLoad]:
    """Run jobs of four checkpoints on a machine that keeps only the results of the last prompt."""
    draw, learner, played = random.Random(7), estimator(), list[PlayedLoad]()
    learner.set_memory(ENGINE, 80 * GB, 200 * GB)
    sizes = {f"model-{number}.safetensors": int(draw.uniform(2, 12) * GB) for number in range(4)}
    seen, last = set[str](), ""
    for number in range(jobs):
        file = draw.choice(list(sizes))
        work = checkpoint_job(file, sizes[file], number)
        predicted = learner.job(ENGINE, work, learner.expect_cached(ENGINE, work))
        seconds = dict(WARM_S)
        if file != last:
            read_s = sizes[file] / (PAGE_CACHE if file in seen else DISK)
            move_s = read_s if lazy else sizes[file] / BUS
            seconds = {node: warm_s + SHARES[node] * move_s for node, warm_s in WARM_S.items()}
            seconds["loader"] = 0.01 if lazy else read_s
        seconds = {node: true_s * draw.lognormvariate(0.0, 0.04) for node, true_s in seconds.items()}
        for node in work.nodes:
            if node.node_id in seconds:
                learner.learn(ENGINE, NodeRun(node, seconds[node.node_id]))
        learner.job_ended(ENGINE, work)
        played.append(PlayedLoad(predicted.p50_s / sum(seconds.values()), file != last))
        seen.add(file)
        last = file
    return played


@pytest.mark.parametrize("lazy", [False, True])
def test_cold_and_warm_jobs_are_predicted_well(lazy: bool) -> None:
    """Three of four jobs are cold. Neither they nor the warm ones are predicted too high or too low."""
    late = play(160, lazy=lazy)[60:]
    cold, warm = ([job.ratio for job in late if job.is_cold is is_cold] for is_cold in (True, False))
    assert len(cold) > len(warm) > 10
    assert statistics.median(cold) == pytest.approx(1.0, abs=0.08)
    assert statistics.median(warm) == pytest.approx(1.0, abs=0.08)
    assert statistics.median(abs(ratio - 1.0) for ratio in cold + warm) < 0.08
