"""Finds the family of a diffusion model by the name of its file, its text encoder or its latent."""

from __future__ import annotations

import re
from functools import lru_cache

from worker.load.features.models.architectures import FAMILIES, SD1, SDXL, UNKNOWN, Family, Transformer

_NAMED: tuple[tuple[str, str], ...] = (
    (r"flux.?2.*klein.*4b|klein.?4b", "flux2-klein-4b"),
    (r"flux.?2.*klein|klein.?9b", "flux2-klein"),
    (r"flux.?2", "flux2"),
    (r"chroma", "chroma"),
    (r"qwen.?image|qwen.*edit", "qwen-image"),
    (r"z.?image", "z-image"),
    (r"hidream", "hidream"),
    (r"sd.?3[._]?5.*medium", "sd3.5-medium"),
    (r"sd.?3[._]?5", "sd3.5-large"),
    (r"sd.?3|stable.?diffusion.?3", "sd3"),
    (r"vace.*1[._]3b|1[._]3b.*vace", "wan-vace-1.3b"),
    (r"vace", "wan-vace-14b"),
    (r"wan.*1[._]3b", "wan-1.3b"),
    (r"wan.*(ti2v|5b)", "wan-5b"),
    (r"\bwan|wan.?2|humo|skyreels.*v2|phantom", "wan-14b"),
    (r"hunyuan.?image", "hunyuan-image"),
    (r"hunyuan.?video.?_?1[._]?5|hy.?1[._]5", "hunyuan-video-1.5"),
    (r"hunyuan.?dit", "hunyuan-dit"),
    (r"hunyuan.?video|fast.?hunyuan|framepack", "hunyuan-video"),
    (r"ltx.?2\b|ltx.?2[._-]|ltxav", "ltx2"),
    (r"ltx.*13b", "ltx-13b"),
    (r"ltx", "ltx"),
    (r"seedvr2.*7b", "seedvr2-7b"),
    (r"seedvr2", "seedvr2-3b"),
    (r"mochi", "mochi"),
    (r"cogvideo", "cogvideo"),
    (r"cosmos.*predict2.*2b|anima", "cosmos-2b"),
    (r"cosmos.*predict2", "cosmos-14b"),
    (r"cosmos", "cosmos"),
    (r"kandinsky.?5.*(pro|20b|19b)", "kandinsky5-pro"),
    (r"kandinsky.?5", "kandinsky5"),
    (r"lumina", "lumina2"),
    (r"aura.?flow", "auraflow"),
    (r"omnigen", "omnigen2"),
    (r"pixart", "pixart"),
    (r"ace.?step", "ace-step"),
    (r"stable.?audio", "stable-audio"),
    (r"cascade|stage_[bc]\b", "cascade"),
    (r"\bsvd|stable.?video", "svd"),
    (r"flux|kontext|schnell", "flux"),
    (r"refiner", "sdxl-refiner"),
    (r"ssd.?1b", "ssd-1b"),
    (r"sd.?xl|xl\b|xl[_v]|\bxl|_xl|pony|illustrious|noobai|juggernaut|kolors|animagine", "sdxl"),
    (r"v1-5|v2-1|v1-4|sd.?15|sd.?1[._]5|sd.?2|dreamshaper|deliberate|majicmix|epicrealism|revanimated", "sd1"),
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
    "cogvideox": "cogvideo",
    "pixart": "pixart",
    "ace": "ace-step",
    "stable_audio": "stable-audio",
    "stable_cascade": "cascade",
    "kandinsky5": "kandinsky5",
}
"""Types of the text encoders that belong to a family."""
_BY_LATENT = {
    "EmptyFlux2LatentImage": "flux2",
    "EmptyHunyuanImageLatent": "hunyuan-image",
    "EmptyHunyuanLatentVideo": "wan-14b",
    "EmptyHunyuanVideo15Latent": "hunyuan-video-1.5",
    "EmptyLTXVLatentVideo": "ltx",
    "EmptyMochiLatentVideo": "mochi",
    "EmptyCosmosLatentVideo": "cosmos",
    "EmptyAceStepLatentAudio": "ace-step",
    "EmptyAceStep1.5LatentAudio": "ace-step",
    "EmptyLatentAudio": "stable-audio",
    "SVD_img2vid_Conditioning": "svd",
    "WanImageToVideo": "wan-14b",
    "WanVaceToVideo": "wan-vace-14b",
    "Wan22ImageToVideoLatent": "wan-5b",
    "LTXVImgToVideo": "ltx",
}
"""Nodes that create latents of one family. Those of several families stand for the most common one."""
LIKELY_SD1, LIKELY_SDXL = 4.5e9, 9e9
"""Largest checkpoint of an unknown name that is probably Stable Diffusion 1.5, and SDXL, in bytes."""
_ONE_BYTE = re.compile(r"fp8|int8|q8|e4m3|e5m2")
_HALF_BYTE = re.compile(r"fp4|nf4|int4|svdq|q4")
WORKING_SHARE = 0.9
"""Share of the parameters of an unknown transformer that work on each token."""


@lru_cache(maxsize=2048)
def family_named(text: str) -> Family | None:
    """Return the family that the name of a file suggests, or None."""
    name = text.casefold()
    return next((family for pattern, family in _PATTERNS if pattern.search(name)), None)


def family_of_encoder(encoder_type: str) -> Family | None:
    """Return the family that the type of a loader of text encoders suggests, or None."""
    return FAMILIES.get(_BY_ENCODER_TYPE.get(encoder_type, ""))


def family_of_latent(class_type: str) -> Family | None:
    """Return the family whose latents a class of nodes creates, or None."""
    return FAMILIES.get(_BY_LATENT.get(class_type, ""))


def family_of_file(file: str, size: int | None, *, is_checkpoint: bool) -> Family:
    """Return a family for a model whose name is unknown: by the size of its file in bytes, if that is known.

    A checkpoint without a known size counts as SDXL, and another model as a transformer of medium size.
    """
    if is_checkpoint and (not size or size < LIKELY_SDXL):
        return SD1 if size and size < LIKELY_SD1 else SDXL
    if not size:
        return UNKNOWN
    name = file.casefold()
    parameter_bytes = 0.5 if _HALF_BYTE.search(name) else 1.0 if _ONE_BYTE.search(name) else 2.0
    billions = max(size / parameter_bytes / 1e9, 0.01)
    # Layers x width of the known transformers grow with about this power of their parameters.
    layers_and_width = 35_000 * billions**0.7
    return Family("unknown", Transformer(WORKING_SHARE * billions, 40, int(layers_and_width / 40) + 1, 2400, text=256))
