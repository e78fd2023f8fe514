"""Finds the family of a diffusion model by its names in a prompt, and estimates the cost of a step.

The cost is calculated, not measured: parameters in billions / 3, divided by the ratio of pixels per token to the 256
(16x16) of an image model. Stable Diffusion 1.5 has the cost 1, and no image model has a lower cost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.prompt import Prompt, links

BENCHMARK_BILLIONS = 3.0
IMAGE_TOKEN = 256
VIDEO_TOKEN = 16 * 16 * 4
DEEPEST = 100  # maximum number of nodes between a sampler and the loader of its model


@dataclass(frozen=True, slots=True)
class Family:
    """A family of models. `pixels_per_token` counts the pixels of all frames that one token represents."""

    name: str
    billions: float
    pixels_per_token: int = IMAGE_TOKEN

    @property
    def cost(self) -> float:
        """Cost of one step for one pixel, relative to Stable Diffusion 1.5. An image model costs at least 1.

        The cost grows with the parameters, and shrinks with the pixels that one token represents.
        """
        cost = self.billions / BENCHMARK_BILLIONS * IMAGE_TOKEN / self.pixels_per_token
        return max(cost, 1.0) if self.pixels_per_token == IMAGE_TOKEN else cost


UNKNOWN = Family("unknown", BENCHMARK_BILLIONS)
"""The family of an unknown model. It has the cost of the benchmark model."""

_NAMED: tuple[tuple[str, Family], ...] = (
    (r"flux.?2.*klein.?4b", Family("flux2-klein-4b", 4)),
    (r"flux.?2.*klein", Family("flux2-klein", 9)),
    (r"flux.?2", Family("flux2", 32)),
    (r"chroma", Family("chroma", 9)),
    (r"flux", Family("flux", 12)),
    (r"qwen.?image", Family("qwen-image", 20)),
    (r"z.?image", Family("z-image", 6)),
    (r"hidream", Family("hidream", 17)),
    (r"sd.?3.?5.?large", Family("sd3.5-large", 8)),
    (r"sd.?3", Family("sd3", 2.5)),
    (r"wan.*1[._]3b", Family("wan-1.3b", 1.3, VIDEO_TOKEN)),
    (r"wan.*(ti2v|5b)", Family("wan-5b", 5, 4 * VIDEO_TOKEN)),
    (r"\bwan|wan.?2", Family("wan-14b", 14, VIDEO_TOKEN)),
    (r"hunyuan.?image", Family("hunyuan-image", 17, 4 * IMAGE_TOKEN)),
    (r"hunyuan.?video.?1[._]?5", Family("hunyuan-video-1.5", 8.3, VIDEO_TOKEN)),
    (r"hunyuan.?video", Family("hunyuan-video", 13, VIDEO_TOKEN)),
    (r"ltx.?2\b|ltx.?2[._-]", Family("ltx2", 19, 8 * VIDEO_TOKEN)),
    (r"ltx.*13b", Family("ltx-13b", 13, 8 * VIDEO_TOKEN)),
    (r"ltx", Family("ltx", 2, 8 * VIDEO_TOKEN)),
    (r"seedvr2.*7b", Family("seedvr2-7b", 7, VIDEO_TOKEN)),
    (r"seedvr2", Family("seedvr2-3b", 3, VIDEO_TOKEN)),
    (r"mochi", Family("mochi", 10, VIDEO_TOKEN)),
    (r"lumina", Family("lumina2", 2.6)),
    (r"aura.?flow", Family("auraflow", 6.8)),
    (r"omnigen", Family("omnigen2", 4)),
    (r"sd.?xl|\bxl\b|_xl|pony|illustrious", Family("sdxl", 2.6)),
    (r"v1-5|sd.?15|sd.?1[._]5|sd.?2", Family("sd1", 0.9)),
)
_PATTERNS = tuple((re.compile(pattern), family) for pattern, family in _NAMED)
_NAMES_BY_ENCODER_TYPE = {
    "flux": "flux",
    "flux2": "flux.2",
    "qwen_image": "qwen_image",
    "wan": "wan2",
    "hunyuan_video": "hunyuan_video",
    "hunyuan_image": "hunyuan_image",
    "hunyuan_video_15": "hunyuan_video_1.5",
    "ltxv": "ltx",
    "mochi": "mochi",
    "hidream": "hidream",
    "chroma": "chroma",
    "sd3": "sd3",
    "sdxl": "sdxl",
    "lumina2": "lumina",
    "omnigen2": "omnigen",
}
"""Types that loaders of text encoders have, mapped to names that the patterns match."""


def family_named(text: str) -> Family | None:
    """Return the family that the name of a file suggests, or None."""
    name = text.casefold()
    return next((family for pattern, family in _PATTERNS if pattern.search(name)), None)


class Families:
    """The families of the models in one prompt. Each node is computed once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._families: dict[str, Family | None] = {}
        self._encoder_family = self._find_encoder_family()

    def family_of(self, node_id: str) -> Family:
        """Return the family of the model that a sampler uses, the most expensive one if it uses several.

        If no loader of a known family is found, the type of the text encoders decides, else the result is `UNKNOWN`.
        """
        return self._source_family(node_id, DEEPEST) or self._encoder_family or UNKNOWN

    def _source_family(self, node_id: str, depth: int) -> Family | None:
        """Return the most expensive family of the models that a node receives or loads, or None if none is known.

        Follows at most `depth` links.
        """
        if node_id in self._families or not depth:
            return self._families.get(node_id)
        self._families[node_id] = None  # the result inside a cycle
        node = self._prompt[node_id]
        sources = [source for name, source, _ in links(node) if _is_model_input(name) and source in self._prompt]
        source_families = [self._source_family(source, depth - 1) for source in sources]
        families = [family for family in source_families if family is not None]
        families += self._loaded_families(node_id)
        self._families[node_id] = max(families, key=lambda family: family.cost, default=None)
        return self._families[node_id]

    def _loaded_families(self, node_id: str) -> Iterator[Family]:
        """Yield the families of the model files that a loader names. LoRA files are ignored."""
        for name, value in self._prompt[node_id]["inputs"].items():
            family = family_named(value) if isinstance(value, str) and name in _MODEL_FILE_INPUTS else None
            if family is not None:
                yield family

    def _find_encoder_family(self) -> Family | None:
        """Return the most expensive family that the types of the text encoder loaders suggest, or None."""
        loaders = [node for node in self._prompt.values() if "CLIP" in node["class_type"]]
        types = [loader["inputs"].get("type") for loader in loaders]
        names = [
            _NAMES_BY_ENCODER_TYPE.get(encoder_type, "") for encoder_type in types if isinstance(encoder_type, str)
        ]
        families = [family_named(name) for name in names]
        return max((family for family in families if family), key=lambda family: family.cost, default=None)


_MODEL_FILE_INPUTS = frozenset({"ckpt_name", "unet_name", "model_name", "model", "diffusion_model", "model_path"})


def _is_model_input(name: str) -> bool:
    """Return whether an input of this name receives a diffusion model."""
    return "model" in name or name in {"guider", "unet", "pipe"}
