"""The work of models that enlarge pictures, and of those that add frames to a video."""

from __future__ import annotations

import re

from worker.load.features.models.autoencoders import CONVOLUTION

ESRGAN = 36.7
"""10^12 operations of the largest common upscale models (ESRGAN, 16.7 million parameters) for a megapixel of input."""
SMALL = 2.6
"""The same for compact models, of about 1.2 million parameters."""
SINGLE_PRECISION = 2.5
"""Time of an operation in single precision, in which ComfyUI runs these models, relative to half precision.

TensorRT uses half precision. Its users report that ComfyUI's own node takes two to four times as long.
"""
TILES = 1.14
"""ComfyUI cuts pictures into tiles of 512 pixels that overlap by 32."""
TRANSFORMER = 3.0
"""Time of a transformer for upscaling relative to a convolutional network with as many parameters."""
INTERPOLATION = 2.0
"""10^12 operations, in the time of matrix products, for each megapixel of a frame that a video gets."""

_SMALL = re.compile(r"compact|general|animevideo|span|nomosuni|lite|tiny")
_TRANSFORMERS = re.compile(r"hat|dat\b|dat[_-]|swin|omnisr|rgt|atd|drct")
_TENSORRT = re.compile(r"tensorrt|trt", re.IGNORECASE)
_QUARTERED = re.compile(r"esrgan.*x2|x2plus")
"""Real-ESRGAN's model for a factor of 2 works at half the width and height."""


def upscale_tflop(megapixels: float, file: str, size: int | None, class_type: str) -> float:
    """Return the work of an upscale model on so many megapixels, in operations that take as long as matrix products.

    `file` is the name of the model, and `size` the size of its file in bytes, if that is known.
    """
    name = file.casefold()
    per_megapixel = SMALL if _SMALL.search(name) else ESRGAN
    if size and name.endswith((".pth", ".pt")):  # 4 bytes for each parameter, and 2 operations for each pixel
        per_megapixel = 1.1 * 2.0 * size / 4.0 / 1e6
    if _TRANSFORMERS.search(name):
        per_megapixel *= TRANSFORMER
    if _QUARTERED.search(name):
        per_megapixel /= 4.0
    slowdown = 1.0 if _TENSORRT.search(class_type) else SINGLE_PRECISION * TILES
    return per_megapixel * megapixels * CONVOLUTION * slowdown
