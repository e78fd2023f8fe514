"""The node functions by class name: each module is a family with a table `NODES`."""

from __future__ import annotations

from worker.comfyui.embedded.nodes import loading, making, own, saving
from worker.comfyui.embedded.registry import Registry
from worker.comfyui.embedded.simulate import simulated


def registry() -> Registry:
    """All real nodes, and the simulation for every other class."""
    nodes = {**loading.NODES, **making.NODES, **saving.NODES, **own.NODES}
    return Registry(nodes, {**loading.CHANGES, **saving.CHANGES}, simulated)
