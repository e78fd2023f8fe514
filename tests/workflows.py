"""Small workflows with one behavior each."""

from __future__ import annotations

from itertools import count
from typing import Any

Workflow = dict[str, dict[str, Any]]

_colors = count(1)


def picture(width: int = 64, height: int = 64, prefix: str = "test", color: int | None = None) -> Workflow:
    """Return a workflow with one image, different each time unless a color is given."""
    color = next(_colors) if color is None else color
    inputs = {"width": width, "height": height, "batch_size": 1, "color": color}
    return {
        "1": {"class_type": "EmptyImage", "inputs": inputs},
        "2": {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}},
    }


def drawn(width: int = 64, height: int = 64) -> dict[str, Any]:
    """Return the same workflow in the editor's format, with a primitive, a reroute and a muted branch."""
    nodes = [
        {
            "id": 1,
            "type": "EmptyImage",
            "widgets_values": [8, height, 1, next(_colors)],
            "outputs": [{"type": "IMAGE"}],
        },
        {"id": 2, "type": "SaveImage", "widgets_values": ["drawn"], "title": "Keep"},
        {
            "id": 3,
            "type": "PrimitiveNode",
            "widgets_values": [width, "fixed"],
            "outputs": [{"type": "INT", "links": [2]}],
        },
        {"id": 4, "type": "Reroute", "outputs": [{"type": "IMAGE"}]},
        {"id": 5, "type": "PreviewImage", "mode": 2, "title": "Look"},
    ]
    nodes[0]["inputs"] = [{"name": "width", "type": "INT", "widget": {"name": "width"}, "link": 2}]
    nodes[1]["inputs"] = [{"name": "images", "type": "IMAGE", "link": 3}]
    nodes[3]["inputs"] = [{"name": "", "type": "*", "link": 1}]
    links = [[1, 1, 0, 4, 0, "IMAGE"], [2, 3, 0, 1, 0, "INT"], [3, 4, 0, 2, 0, "IMAGE"]]
    return {"nodes": nodes, "links": links, "version": 0.4}


def slow(seconds: float, steps: int = 0) -> Workflow:
    """Return a workflow that pauses, in steps that can be interrupted or in one piece."""
    workflow = picture()
    inputs = {"image": ["1", 0], "seconds": seconds, "steps": steps}
    workflow["3"] = {"class_type": "EmbeddedSleep", "inputs": inputs, "_meta": {"title": "Pause"}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    return workflow


def hidden(*, raises: bool = False) -> Workflow:
    """Return a workflow whose node shows its hidden inputs, or fails with the comfy.org key in its message."""
    workflow = picture()
    return {
        "1": workflow["1"],
        "2": {"class_type": "EmbeddedHidden", "inputs": {"image": ["1", 0], "raises": raises}},
    }


def sampling() -> Workflow:
    """Return a workflow with three steps of a sampler, different each time."""
    return {
        "10": {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "any.safetensors"}},
        "11": {"class_type": "EmptyLatentImage", "inputs": {"width": 64, "height": 64, "batch_size": 1}},
        "12": {"class_type": "CLIPTextEncode", "inputs": {"text": f"{next(_colors)}", "clip": ["10", 1]}},
        "13": {
            "class_type": "KSampler",
            "inputs": {
                **{"model": ["10", 0], "positive": ["12", 0], "negative": ["12", 0], "latent_image": ["11", 0]},
                **{"seed": 1, "steps": 3, "cfg": 7.0, "sampler_name": "euler", "scheduler": "normal"},
                "denoise": 1.0,
            },
        },
        "14": {"class_type": "VAEDecode", "inputs": {"samples": ["13", 0], "vae": ["10", 2]}},
        "15": {"class_type": "SaveImage", "inputs": {"images": ["14", 0], "filename_prefix": "sampled"}},
    }


def failing() -> Workflow:
    """Return a workflow with a node that raises."""
    workflow = picture()
    workflow["3"] = {
        "class_type": "EmbeddedFail",
        "inputs": {"image": ["1", 0], "message": "asked to"},
        "_meta": {"title": "Trouble"},
    }
    workflow["2"]["inputs"]["images"] = ["3", 0]
    return workflow


def faulty(fault: str, seconds: float = 0.0) -> Workflow:
    """Return a workflow that triggers a fault of the embedded engine after a pause (docs/embedded-engine.md)."""
    workflow = slow(seconds)
    workflow["4"] = {"class_type": "EmbeddedFault", "inputs": {"image": ["3", 0], "fault": fault}}
    workflow["2"]["inputs"]["images"] = ["4", 0]
    return workflow
