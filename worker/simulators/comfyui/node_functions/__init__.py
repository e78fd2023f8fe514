"""The node functions by class name: each module is a family with a table `NODES`."""

from __future__ import annotations

from worker.simulators.comfyui.classes.registry import NodeRegistry
from worker.simulators.comfyui.execution.simulate import simulated
from worker.simulators.comfyui.node_functions import (
    audio,
    combine,
    datasets,
    loading,
    logic,
    making,
    masking,
    models,
    own,
    packs,
    previews,
    saving,
    scenes,
    transform,
    video,
)


def registry() -> NodeRegistry:
    """All real nodes, and the simulation for every other class."""
    pictures = (making, logic, loading, transform, combine, masking, saving, previews)
    families = (*pictures, video, audio, models, scenes, datasets, packs, own)
    nodes = {name: node for family in families for name, node in family.NODES.items()}
    return NodeRegistry(nodes, {**loading.CHANGES, **saving.CHANGES}, logic.WANTED, simulated)
