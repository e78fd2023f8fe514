"""The seconds that a node takes on a class of GPUs, by the closed form alone."""

from __future__ import annotations

from worker.load.gpu_classes import REFERENCE, GpuClass
from worker.load.node_work import JobWork, NodeWork


def prior_seconds(node: NodeWork, gpu: GpuClass) -> float:
    """Return the seconds that a node takes on a GPU of this class if its models are loaded, before any learning."""
    return node.tflop / gpu.tflops + node.fixed_s


def reference_factor(work: JobWork, gpu: GpuClass) -> float:
    """Return how much longer a job takes on the reference GPU than on a GPU of this class, by the closed form alone.

    The parts that take the same time on any GPU, such as saving a picture, are not scaled.
    """
    seconds = sum(prior_seconds(node, gpu) for node in work.nodes)
    return sum(prior_seconds(node, REFERENCE) for node in work.nodes) / seconds if seconds > 0 else 1.0
