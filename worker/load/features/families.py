"""Finds the family of a diffusion model by the name of its file."""

from __future__ import annotations

import re
from functools import lru_cache

from worker.load.features.architectures import FAMILIES, SD1, SDXL, UNKNOWN, Family, Transformer

_NAMED: tuple[tuple[str, str], ...] = (
    (r"flux.?2.*klein.?4b", "flux2-klein-4b"),
    (r"flux.?2.*klein", "flux2-klein"),
    (r"flux.?2", "flux2"),
    (r"chroma", "chroma"),
    (r"flux", "flux"),
    (r"qwen.?image", "qwen-image"),
    (r"z.?image", "z-image"),
    (r"hidream", "hidream"),
    (r"sd.?3.?5.?large", "sd3.5-large"),
    (r"sd.?3", "sd3"),
    (r"wan.*1[._]3b", "wan-1.3b"),
    (r"wan.*(ti2v|5b)", "wan-5b"),
    (r"\bwan|wan.?2", "wan-14b"),
    (r"hunyuan.?image", "hunyuan-image"),
    (r"hunyuan.?video.?1[._]?5", "hunyuan-video-1.5"),
    (r"hunyuan.?video", "hunyuan-video"),
    (r"ltx.?2\b|ltx.?2[._-]", "ltx2"),
    (r"ltx.*13b", "ltx-13b"),
    (r"ltx", "ltx"),
    (r"seedvr2.*7b", "seedvr2-7b"),
    (r"seedvr2", "seedvr2-3b"),
    (r"mochi", "mochi"),
    (r"cosmos", "cosmos"),
    (r"lumina", "lumina2"),
    (r"aura.?flow", "auraflow"),
    (r"omnigen", "omnigen2"),
    (r"sd.?xl|\bxl\b|_xl|pony|illustrious", "sdxl"),
    (r"v1-5|sd.?15|sd.?1[._]5|sd.?2", "sd1"),
)
_PATTERNS = tuple((re.compile(pattern), FAMILIES[name]) for pattern, name in _NAMED)
_BY_ENCODER_TYPE = {
    "flux": "flux",
    "flux2": "flux2",
    "qwen_image": "qwen-image",
    "wan": "wan-14b",
    "hunyuan_video": "hunyuan-video",
    "hunyuan_image": "hunyuan-image",
    "hunyuan_video_15": "hunyuan-video-1.5",
    "ltxv": "ltx",
    "mochi": "mochi",
    "hidream": "hidream",
    "chroma": "chroma",
    "sd3": "sd3",
    "sdxl": "sdxl",
    "lumina2": "lumina2",
    "omnigen2": "omnigen2",
    "cosmos": "cosmos",
}
LIKELY_SD1, LIKELY_SDXL = 3e9, 9e9
"""Largest checkpoint of an unknown name that is probably Stable Diffusion 1.5, and SDXL, in bytes."""


@lru_cache(maxsize=2048)
def family_named(text: str) -> Family | None:
    """Return the family that the name of a file suggests, or None."""
    name = text.casefold()
    return next((family for pattern, family in _PATTERNS if pattern.search(name)), None)


def family_of_encoder(encoder_type: str) -> Family | None:
    """Return the family that the type of a loader of text encoders suggests, or None."""
    return FAMILIES.get(_BY_ENCODER_TYPE.get(encoder_type, ""))


def family_of_size(file: str, size: int | None, *, is_checkpoint: bool) -> Family:
    """Return a family for a model with an unknown name: by the size of its file in bytes, if that is known."""
    if not size:
        return UNKNOWN
    if is_checkpoint and size < LIKELY_SDXL:
        return SD1 if size < LIKELY_SD1 else SDXL
    bytes_per_parameter = 1.0 if re.search(r"fp8|int8|q8", file.casefold()) else 2.0
    billions = size / bytes_per_parameter / 1e9
    width = int(1500 * max(billions, 0.1) ** (1 / 3))
    return Family("unknown", Transformer(0.9 * billions, 40, width, text=256))
