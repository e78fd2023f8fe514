"""Which family a diffusion model belongs to, and what one of its steps costs: by the names that a prompt has for it.

The cost is reckoned, not measured: parameters in billions over 3, divided by how many more pixels one token stands for
than the 256 (16x16) of an image model; no image model is cheaper than that of the benchmark. Stable Diffusion 1.5 is 1.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from worker.workflow.prompt import Prompt, links

BENCHMARK_BILLIONS = 3.0
IMAGE_TOKEN = 256
VIDEO_TOKEN = 16 * 16 * 4
DEEPEST = 100  # nodes between a sampler and the loader of its model


@dataclass(frozen=True, slots=True)
class Family:
    """`billions` of parameters; `token`: pixels, of all its frames, that one token stands for."""

    name: str
    billions: float
    token: int = IMAGE_TOKEN

    @property
    def cost(self) -> float:
        """Of one step of one pixel, in units of Stable Diffusion 1.5."""
        cost = self.billions / BENCHMARK_BILLIONS * IMAGE_TOKEN / self.token
        return max(cost, 1.0) if self.token == IMAGE_TOKEN else cost


UNKNOWN = Family("unknown", BENCHMARK_BILLIONS)
"""Counted as the benchmark's, so that its steps and pixels still count."""

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
_TYPES = {
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
"""What loaders of text encoders are told, as a name that the patterns know."""


def family_named(text: str) -> Family | None:
    """The family that a file's or a class's name speaks of."""
    name = text.casefold()
    return next((family for pattern, family in _PATTERNS if pattern.search(name)), None)


class Families:
    """The models of one prompt; each node is looked at once."""

    def __init__(self, prompt: Prompt) -> None:
        self._prompt = prompt
        self._known: dict[str, Family | None] = {}
        self._by_encoder = self._encoders()

    def of(self, node_id: str) -> Family:
        """The costliest model that a sampler is given, else the one that the text encoders are loaded for."""
        return self._behind(node_id, DEEPEST) or self._by_encoder or UNKNOWN

    def _behind(self, node_id: str, depth: int) -> Family | None:
        if node_id in self._known or not depth:
            return self._known.get(node_id)
        self._known[node_id] = None  # met again inside a cycle
        node = self._prompt[node_id]
        sources = [source for name, source, _ in links(node) if _leads_to_a_model(name) and source in self._prompt]
        found = [family for source in sources if (family := self._behind(source, depth - 1))]
        found += self._named_here(node_id)
        self._known[node_id] = max(found, key=lambda family: family.cost, default=None)
        return self._known[node_id]

    def _named_here(self, node_id: str) -> Iterator[Family]:
        """By the file of a loader; a LoRA is named after its model, and may be after another one."""
        for name, value in self._prompt[node_id]["inputs"].items():
            if isinstance(value, str) and name in _FILES and (family := family_named(value)):
                yield family

    def _encoders(self) -> Family | None:
        found = [
            family_named(_TYPES[kind])
            for node in self._prompt.values()
            if "CLIP" in node["class_type"] and isinstance(kind := node["inputs"].get("type"), str) and kind in _TYPES
        ]
        return max((family for family in found if family), key=lambda family: family.cost, default=None)


_FILES = frozenset({"ckpt_name", "unet_name", "model_name", "model", "diffusion_model", "model_path"})


def _leads_to_a_model(name: str) -> bool:
    return "model" in name or name in {"guider", "unet", "pipe"}
