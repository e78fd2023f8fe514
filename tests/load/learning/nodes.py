"""Nodes and runs for tests."""

from __future__ import annotations

from worker.load.gpu_classes import REFERENCE
from worker.load.learning.estimator import Estimator, NodeRun
from worker.load.node_work import JobWork, NodeKind, NodeWork

ENGINE = "engine-0"
GB = 10**9


def estimator(*engines: str) -> Estimator:
    """Return an estimator that has learned nothing, for engines with the reference GPU."""
    return Estimator(dict.fromkeys(engines or (ENGINE,), REFERENCE))


def sampler(seconds: float = 10.0, family: str = "flux", shape: str = "1Mpx", models: tuple[str, ...] = ()) -> NodeWork:
    """Return a sampler that takes `seconds` by the closed form."""
    return NodeWork(
        "3", "KSampler", NodeKind.SAMPLER, family, "fp8", shape, REFERENCE.tflops * seconds, steps=20, models=models
    )


def job(*nodes: NodeWork, ancestry: dict[str, bytes] | None = None, sizes: dict[str, int] | None = None) -> JobWork:
    """Return the work of a job with these nodes."""
    own = {node.node_id: node.node_id.encode() for node in nodes}
    return JobWork(nodes, 0.0, own if ancestry is None else ancestry, sizes or {})


def run(learner: Estimator, node: NodeWork, *seconds: float, engine: str = ENGINE) -> None:
    """Let an estimator learn from jobs of this one node."""
    for value in seconds:
        learner.learn(engine, NodeRun(node, value))
        learner.job_ended(engine, job(node, ancestry={}))
