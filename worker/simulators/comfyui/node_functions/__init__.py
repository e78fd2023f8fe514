"""The node functions by class name. Each module is one family of nodes with a table `NODES`."""

from __future__ import annotations

from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.execution.simulate import simulated_function
from worker.simulators.comfyui.node_functions import (
    audio,
    combine,
    constants,
    datasets,
    embedded,
    loading,
    logic,
    masking,
    models,
    models_3d,
    previews,
    res4lyf,
    saving,
    transform,
    video,
)


def registry() -> NodeRegistry:
    """Return all implemented nodes, with the simulation for every other class."""
    image_families = (constants, logic, loading, transform, combine, masking, saving, previews)
    families = (*image_families, video, audio, models, models_3d, datasets, res4lyf, embedded)
    nodes = {name: node for family in families for name, node in family.NODES.items()}
    return NodeRegistry(nodes, {**loading.FINGERPRINTS, **saving.FINGERPRINTS}, logic.LAZY_INPUTS, simulated_function)
