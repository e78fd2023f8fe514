"""The node functions by class name: each module is a family with a table `NODES`."""

from __future__ import annotations

from worker.comfyui.embedded.nodes import (
    audio,
    combine,
    loading,
    logic,
    making,
    masking,
    models,
    own,
    saving,
    transform,
    video,
)
from worker.comfyui.embedded.registry import Registry
from worker.comfyui.embedded.simulate import simulated


def registry() -> Registry:
    """All real nodes, and the simulation for every other class."""
    families = (making, logic, loading, transform, combine, masking, saving, video, audio, models, own)
    nodes = {name: node for family in families for name, node in family.NODES.items()}
    return Registry(nodes, {**loading.CHANGES, **saving.CHANGES}, logic.WANTED, simulated)
