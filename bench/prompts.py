"""The prompts of the benchmark. Each is different, because ComfyUI returns a repeated prompt from its cache."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import aiohttp
from PIL import Image

from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Node, Prompt

_numbers = count(random.SystemRandom().randrange(10**9))

Make = Callable[[], Prompt]
"""Returns a new prompt."""


@dataclass(frozen=True, slots=True)
class Workload:
    """A kind of job, and the number of jobs in one round."""

    title: str
    make: Make
    jobs: int


def flat_picture() -> Prompt:
    """Return a prompt for 512x512 pixels of one color.

    Its PNG has 2 KB, so nearly all of the time is overhead.
    """
    number = next(_numbers)
    return _flat(number, _prefix(number))


def sleeping(seconds: float) -> Prompt:
    """Return a prompt that keeps an embedded engine busy for `seconds` without using the processor."""
    prompt = flat_picture()
    prompt["3"] = {"class_type": "EmbeddedSleep", "inputs": {"image": ["1", 0], "seconds": seconds, "steps": 0}}
    prompt["2"]["inputs"]["images"] = ["3", 0]
    return prompt


def flat_picture_on_top() -> Prompt:
    """Return the same prompt without a subfolder. Some servers do not find files in a subfolder."""
    number = next(_numbers)
    return _flat(number, f"bench-{number}")


def _flat(number: int, prefix: str) -> Prompt:
    """Return a prompt for one image. `number` is its color, so that ComfyUI does not use a cached result."""
    inputs: JsonObject = {"width": 512, "height": 512, "batch_size": 1, "color": number % 0xFFFFFF}
    return {
        "1": {"class_type": "EmptyImage", "inputs": inputs},
        "2": _save(prefix),
    }


def noise(name: str) -> Make:
    """Return a function that makes prompts which load an uploaded image and save it.

    The image is noise, so that its PNG is as large as possible.
    """

    def make() -> Prompt:
        return {"1": {"class_type": "LoadImage", "inputs": {"image": name}}, "2": _save(_prefix(next(_numbers)))}

    return make


def big_file(mebibytes: int) -> Prompt:
    """Return a prompt for one file of that size, for the embedded engine."""
    inputs: JsonObject = {"mebibytes": mebibytes, "filename_prefix": _prefix(next(_numbers))}
    return {"1": {"class_type": "EmbeddedBigFile", "inputs": inputs}}


def big_latent(mebibytes: int) -> Prompt:
    """Return a prompt for one file of about that size, for any ComfyUI.

    Latents of 8192x8192 pixels have 16 MiB each.
    """
    latents: JsonObject = {"width": 8192, "height": 8192, "batch_size": round(mebibytes / 16)}
    return {
        "1": {"class_type": "EmptyLatentImage", "inputs": latents},
        "2": {
            "class_type": "SaveLatent",
            "inputs": {"samples": ["1", 0], "filename_prefix": _prefix(next(_numbers))},
        },
    }


async def upload_noise(url: str, side: int) -> str:
    """Upload a square image of noise to the ComfyUI at `url`, and return its name for `noise`."""
    name = f"bench-noise-{side}.png"
    pixels = random.Random(side).randbytes(side * side * 3)
    file = io.BytesIO()
    Image.frombytes("RGB", (side, side), pixels).save(file, "PNG", compress_level=1)
    form = aiohttp.FormData()
    form.add_field("image", file.getvalue(), filename=name)
    form.add_field("overwrite", "true")
    async with aiohttp.ClientSession(raise_for_status=True) as session, session.post(f"{url}/upload/image", data=form):
        return name


def _save(prefix: str) -> Node:
    """Return a node that saves the image of node 1."""
    return {"class_type": "SaveImage", "inputs": {"images": ["1", 0], "filename_prefix": prefix}}


def _prefix(number: int) -> str:
    """Return a file name prefix. Each folder gets few files, because ComfyUI lists a folder to number the next file."""
    return f"bench/{number // 50}/{number}"
