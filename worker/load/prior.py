"""The seconds that a node takes on a class of GPUs, by the closed form alone."""

from __future__ import annotations

from worker.load.gpu_classes import GpuClass
from worker.load.node_work import NodeWork


def prior_seconds(node: NodeWork, gpu: GpuClass) -> float:
    """Return the seconds that a node takes on a GPU of this class if its models are loaded, before any learning."""
    return node.tflop / gpu.tflops + node.fixed_s
