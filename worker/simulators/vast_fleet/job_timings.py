"""The timings file of a replay (docs/embedded-engine.md): a sampler takes the seconds that its prompt states.

The embedded engine runs this file by its path, so it imports nothing but Python's own library.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

DEVICE = "NVIDIA GeForce RTX 4090"


class PlannedNode(Protocol):
    """A node as the engine describes it."""

    class_type: str
    prompt: Mapping[str, Mapping[str, Any]]
    steps: int


def seconds(node: PlannedNode) -> float:
    """Return the seconds of a node. All nodes but the sampler and the loader take none."""
    plan: Mapping[str, float] = json.loads(node.prompt["plan"]["inputs"]["text"])
    if node.steps:
        return plan["seconds"]
    return plan["load_s"] if node.class_type == "CheckpointLoaderSimple" else 0.0
