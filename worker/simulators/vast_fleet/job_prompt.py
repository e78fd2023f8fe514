"""The prompt of a job of a trace: it has the job's units, and takes the job's seconds on an embedded engine."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import orjson

from worker.load.workload import workload
from worker.workflow.json_value import Json, JsonObject
from worker.workflow.prompt import RANDOM_INTEGER, Node, Prompt

TIMINGS_FILE = Path(__file__).with_name("job_timings.py")
"""The timings file with which the engine takes the seconds that a prompt states."""
STEPS = 8
STRIDE, LARGEST = 16, 16_384
"""Widths are multiples of STRIDE, as ComfyUI needs them, and at most LARGEST."""
SAVED = 64
"""Width and height of the saved picture. Encoding a picture of the job's own size would take processor time."""


def job_prompt(units: float, seconds: float, kind: str = "", load_s: float = 0.0) -> Prompt:
    """Return a prompt with a workload of about `units`, which runs for `seconds` on an engine with TIMINGS_FILE.

    The size of the latent makes the units. A workload below that of the smallest picture has fewer steps. `kind` is the
    name of the model file, which takes `load_s` to load. The seed is the worker's: no prompt is cached.
    """
    steps = next((steps for steps in range(STEPS, 1, -1) if _units(kind, STRIDE, STRIDE, steps) <= units), 1)
    width = _largest(lambda side: _units(kind, side, side, steps) <= units)
    height = _largest(lambda side: _units(kind, width, side, steps) <= units)
    return _prompt(kind, (width, height, steps), {"seconds": round(seconds, 4), "load_s": load_s})


def _largest(fits: Callable[[int], bool]) -> int:
    """Return the largest multiple of STRIDE that fits, or STRIDE. `fits` is false above some size."""
    low, high = 1, LARGEST // STRIDE
    while low < high:
        middle = (low + high + 1) // 2
        if fits(middle * STRIDE):
            low = middle
        else:
            high = middle - 1
    return low * STRIDE


def _units(kind: str, width: int, height: int, steps: int) -> float:
    """Return the workload of a prompt of this size."""
    return workload(_prompt(kind, (width, height, steps), {}))


def _prompt(kind: str, shape: tuple[int, int, int], plan: Mapping[str, float]) -> Prompt:
    """Return a prompt. `shape` is the width, the height and the steps. `plan` is what the timings file reads."""
    width, height, steps = shape
    return {
        "model": _node("CheckpointLoaderSimple", ckpt_name=f"{kind or 'model'}.safetensors"),
        "plan": _node("CLIPTextEncode", clip=["model", 1], text=orjson.dumps(plan).decode()),
        "latent": _node("EmptyLatentImage", width=width, height=height, batch_size=1),
        "sampler": _node(
            "KSampler",
            model=["model", 0],
            positive=["plan", 0],
            negative=["plan", 0],
            latent_image=["latent", 0],
            seed=RANDOM_INTEGER,
            steps=steps,
            cfg=1.0,
            sampler_name="euler",
            scheduler="normal",
            denoise=1.0,
        ),
        "small": _node(
            "LatentUpscale",
            samples=["sampler", 0],
            upscale_method="nearest-exact",
            width=SAVED,
            height=SAVED,
            crop="disabled",
        ),
        "decode": _node("VAEDecode", samples=["small", 0], vae=["model", 2]),
        "save": _node("SaveImage", images=["decode", 0], filename_prefix="replay"),
    }


def _node(class_type: str, **inputs: Json) -> Node:
    """Return a node of a prompt."""
    values: JsonObject = inputs
    return Node(class_type=class_type, inputs=values)
