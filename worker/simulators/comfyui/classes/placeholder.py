"""Placeholder images for results of simulated models. They are labelled with the seed, the text and the model."""

from __future__ import annotations

import textwrap
from dataclasses import replace
from functools import lru_cache
from hashlib import blake2b
from io import BytesIO

from PIL import Image, ImageDraw, ImageFont, ImageOps

from worker.simulators.comfyui.classes.values import Trace
from worker.simulators.comfyui.execution.progress import PreviewImage
from worker.simulators.comfyui.server.frames import PreviewFormat

LABEL = "embedded engine - not a real picture"
PREVIEW_EDGE = 512
PREVIEW_QUALITY = 95
DISTINCT_FRAMES = 16
"""Frames after which a video repeats, so that it moves and takes little memory."""


def draw(size: tuple[int, int], trace: Trace, count: int = 1, note: str = "") -> tuple[Image.Image, ...]:
    """Draw `count` images of one size in pixels. The same arguments always give the same pixels."""
    distinct = [_frame(size, trace, number, count, note) for number in range(min(count, DISTINCT_FRAMES))]
    return tuple(distinct[number % DISTINCT_FRAMES] for number in range(count))


def draw_preview(size: tuple[int, int], trace: Trace, step: int, total: int) -> PreviewImage:
    """Draw a latent preview as ComfyUI would send it: a JPEG of the same shape, scaled so that its long edge is 512."""
    width, height = size
    scale = PREVIEW_EDGE / max(width, height, 1)
    fitted = max(1, round(width * scale)), max(1, round(height * scale))
    # Only the progress bar differs from step to step, so the rest is drawn once and cached.
    image = _base(fitted, replace(trace, steps=None), "preview").copy()
    bar_width = round(fitted[0] * step / max(1, total))
    ImageDraw.Draw(image).rectangle((0, fitted[1] - 12, bar_width, fitted[1]), fill="white")
    body = BytesIO()
    image.save(body, format="JPEG", quality=PREVIEW_QUALITY)
    return PreviewImage(PreviewFormat.JPEG, body.getvalue())


def _frame(size: tuple[int, int], trace: Trace, number: int, count: int, note: str) -> Image.Image:
    """Draw frame `number` of `count`, with a bar that moves from frame to frame."""
    base = _base(size, trace, note)
    if count == 1:
        return base
    image = base.copy()
    position = size[0] * number // DISTINCT_FRAMES
    pen = ImageDraw.Draw(image)
    pen.rectangle((position, 0, position + max(2, size[0] // 32), size[1]), fill="white")
    pen.text((8, max(0, size[1] - 20)), f"{count} frames", fill="black")
    return image


@lru_cache(maxsize=8)
def _base(size: tuple[int, int], trace: Trace, note: str) -> Image.Image:
    """Draw a gradient with the label. Callers must not change the image, which is cached."""
    shape = max(1, size[0]), max(1, size[1])
    dark, light = _colors(trace)
    image = ImageOps.colorize(Image.linear_gradient("L").resize(shape), dark, light)
    font_size = min(24, max(8, shape[0] // 32))
    width = max(8, int(shape[0] / (font_size * 0.6)))  # in characters, which are about 0.6 of the font size wide
    text = "\n".join(line for part in _lines(trace, note) for line in textwrap.wrap(part, width))
    ImageDraw.Draw(image).multiline_text((8, 8), text, fill="white", font=ImageFont.load_default(font_size))
    return image


def _lines(trace: Trace, note: str) -> list[str]:
    """Return the lines of text on a placeholder. Unknown parts are empty."""
    seed = f"seed {trace.seed}" if trace.seed is not None else ""
    steps = f"{trace.steps} steps" if trace.steps else ""
    sampling = "  ".join(part for part in (seed, steps, trace.sampler) if part)
    return [LABEL, note, sampling, trace.model, trace.text[:400]]


def _colors(trace: Trace) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
    """Return a dark and a light colour, derived from all fields of the trace."""
    digest = blake2b(repr(trace).encode(), digest_size=3).digest()
    dark = digest[0] // 4, digest[1] // 4, digest[2] // 4
    light = 64 + digest[0] // 2, 64 + digest[1] // 2, 64 + digest[2] // 2
    return dark, light
