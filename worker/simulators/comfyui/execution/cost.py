"""Seconds that nodes take on a mid-range GPU. They are rough estimates for rehearsals, not measurements."""

from __future__ import annotations

from worker.workflow.catalog.node_class import NodeClass

STEP_PER_MEGAPIXEL = 0.12
DECODE_PER_MEGAPIXEL = 0.15
MODEL_LOAD = 1.5
TEXT_ENCODE = 0.04
API_CALL = 5.0


def step_seconds(width: int, height: int, frames: int) -> float:
    """Return the seconds of one sampler step."""
    return STEP_PER_MEGAPIXEL * width * height * max(1, frames) / 1_000_000


def node_seconds(node_class: NodeClass, width: int, height: int, frames: int) -> float:
    """Return the seconds of a node that reports no progress."""
    if node_class.api_node:
        return API_CALL
    if "Loader" in node_class.name:
        return MODEL_LOAD
    if "TextEncode" in node_class.name:
        return TEXT_ENCODE
    if node_class.name.startswith("VAE"):
        return DECODE_PER_MEGAPIXEL * width * height * max(1, frames) / 1_000_000
    return 0.0
