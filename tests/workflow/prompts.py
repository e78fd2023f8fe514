"""Small prompts for the tests of this folder."""

from __future__ import annotations

from typing import Any

from worker.workflow.json_value import Json
from worker.workflow.prompt import Node, Prompt


def node(class_type: str, **inputs: Any) -> Node:
    return {"class_type": class_type, "inputs": inputs}


def link(node_id: str, slot: int = 0) -> list[Json]:
    return [node_id, slot]


def saved(source: str = "1") -> Node:
    return node("SaveImage", images=link(source), filename_prefix="x")


def empty(**changed: Any) -> Node:
    return node("EmptyImage", **{"width": 64, "height": 64, "batch_size": 1, "color": 0} | changed)


def sampled(steps: Any = 20, **size: Any) -> Prompt:
    """Return a text-to-image prompt with the shape of the benchmark workflow."""
    size = {"width": 512, "height": 512, "batch_size": 1} | size
    return {
        "4": node("CheckpointLoaderSimple", ckpt_name="m.safetensors"),
        "5": node("EmptyLatentImage", **size),
        "6": node("CLIPTextEncode", text="a", clip=link("4", 1)),
        "3": node(
            "KSampler",
            model=link("4"),
            positive=link("6"),
            negative=link("6"),
            latent_image=link("5"),
            seed=1,
            steps=steps,
            cfg=7.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "8": node("VAEDecode", samples=link("3"), vae=link("4", 2)),
        "9": saved("8"),
    }
