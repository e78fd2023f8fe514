"""The true durations of the mixed trace: GPUs that differ, models that differ, noise, outliers, and a throttled GPU.

The embedded engine runs this file through a timings file (docs/embedded-engine.md), so it imports nothing but Python's
own library. It shares no code and no constants with `worker.load`. The nominal seconds of a step are rounded public
measurements on an RTX 4090; a world multiplies each by a random factor.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol


class WorldNode(Protocol):
    """A node as the embedded engine describes it to a timings file."""

    class_type: str
    inputs: Mapping[str, object]
    prompt: Mapping[str, Mapping[str, object]]
    model: str
    width: int
    height: int
    frames: int
    batch: int
    steps: int


@dataclass(frozen=True)
class Nominal:
    """Nominal seconds of a model family on an RTX 4090.

    `linear` and `quadratic` are the seconds of one model evaluation for a megapixel: the part that grows with the
    pixels, and the part that grows with their square. `launch` is what any GPU needs for an evaluation. `gib` is the
    size of the model file. One latent frame of a video has the frames `stride`.
    """

    linear: float
    quadratic: float
    launch: float
    gib: float
    stride: int = 1


FAMILIES: Mapping[str, Nominal] = {
    "v1-5-pruned": Nominal(0.030, 0.030, 0.010, 2.0),
    "sd_xl_base": Nominal(0.052, 0.009, 0.015, 6.5),
    "flux1-schnell": Nominal(0.48, 0.14, 0.012, 5.5),
    "z_image_turbo": Nominal(0.40, 0.09, 0.010, 4.0),
    "wan2.1_t2v_1.3B": Nominal(0.065, 0.012, 0.012, 2.6, stride=4),
    "nebula": Nominal(0.22, 0.10, 0.020, 3.0),
    "aurora": Nominal(0.11, 0.02, 0.014, 1.5),
}
"""Families by a part of the file name. The worker's closed form does not know the last two."""

GPUS: Mapping[str, float] = {"NVIDIA H100 80GB HBM3": 3.2, "NVIDIA H200": 3.7, "NVIDIA B200": 5.0}
"""Nominal speed of each engine's GPU, relative to an RTX 4090."""

TWICE = ("heun", "dpm_2", "dpmpp_sde", "dpmpp_2s_ancestral", "seeds_2")
"""Samplers that evaluate the model twice in a step."""

MEGAPIXEL = 1024 * 1024
CONTROLLED, CONTROLNET_GIB = 1.42, 0.7
"""Cost of a step with a ControlNet, relative to one without, and the size of its file."""
NOISE, OUTLIERS, OUTLIER_FACTOR = 0.05, 0.02, 3.0
THROTTLED_FACTOR = 1.45
"""How much longer the nodes on the GPU take on the throttled engine."""


class Machine:
    """One GPU of a world. `seconds` is the function of the engine's timings file.

    The file at `throttle`, once it exists, slows the machine for good.
    """

    def __init__(self, seed: int, gpu: str, throttle: Path | None = None) -> None:
        world, machine = random.Random(f"world {seed}"), random.Random(f"machine {seed} {gpu}")
        self._families = {name: world.uniform(0.6, 1.4) for name in FAMILIES}
        self._batch = {name: world.uniform(0.75, 1.05) for name in FAMILIES}
        self._encode = 0.03 * world.uniform(0.6, 1.4)
        self._decode = 0.10 * world.uniform(0.6, 1.4)
        self._save = 0.09 * world.uniform(0.6, 1.4)
        self._disk = 1.5 * world.uniform(0.7, 1.4)  # the GPUs are in one machine
        self.factor = math.exp(machine.uniform(math.log(0.5), math.log(2.0)))
        self._interaction = {name: math.exp(machine.gauss(0, 0.15)) for name in FAMILIES}
        self._bus = 12.0 * machine.uniform(0.7, 1.4)
        self._speed = GPUS[gpu] / self.factor
        self._throttle = throttle
        self._throttled = False
        self._resident: set[str] = set()
        self._noise = random.Random(f"noise {seed} {gpu}")

    def seconds(self, node: WorldNode) -> float:
        """Return the seconds that one run of a node takes."""
        return (self._warm(node) * self._slowness(node) + self._loading(node)) * self._luck()

    def _slowness(self, node: WorldNode) -> float:
        """Return how much longer a node takes than on a GPU that is not throttled. Savers use the CPU."""
        if not self._throttled and self._throttle is not None:
            self._throttled = self._throttle.exists()
        return THROTTLED_FACTOR if self._throttled and not node.class_type.startswith("Save") else 1.0

    def _luck(self) -> float:
        """Return a random factor: noise always, and now and then an outlier."""
        outlier = OUTLIER_FACTOR if self._noise.random() < OUTLIERS else 1.0
        return math.exp(self._noise.gauss(0, NOISE)) * outlier

    def _loading(self, node: WorldNode) -> float:
        """Return the seconds of what a node loads: a loader reads its file, and a model's first sampler moves it."""
        name = node.inputs.get("ckpt_name") or node.inputs.get("control_net_name")
        if isinstance(name, str):
            self._resident.discard(name)
            return _gib(name) / self._disk
        if not node.steps or node.model in self._resident:
            return 0.0
        self._resident.add(node.model)
        return _gib(node.model) / self._bus

    def _warm(self, node: WorldNode) -> float:
        """Return the usual seconds of a node whose model is in memory."""
        if node.steps:
            return self._sampler(node)
        megapixels = node.width * node.height * node.frames * node.batch / MEGAPIXEL
        costs: Mapping[str, Callable[[], float]] = {
            "CLIPTextEncode": lambda: 0.008 + self._encode / self._speed,
            "VAEDecode": lambda: 0.01 + self._decode * megapixels / self._speed,
            "VAEEncode": lambda: 0.01 + 0.6 * self._decode * megapixels / self._speed,
            "SaveImage": lambda: 0.03 + self._save * megapixels,
            "SaveAnimatedWEBP": lambda: 0.05 + self._save * megapixels,
        }
        cost = costs.get(node.class_type)
        return cost() if cost else 0.002

    def _sampler(self, node: WorldNode) -> float:
        """Return the seconds of all steps of a sampler."""
        name = family_of(node.model)
        nominal = FAMILIES[name]
        latent_frames = (node.frames - 1) // nominal.stride + 1
        size = node.width * node.height * latent_frames / MEGAPIXEL
        evaluation = (nominal.linear * size + nominal.quadratic * size**2) * self._families[name]
        evaluation *= math.pow(node.batch, self._batch[name]) * self._interaction[name]
        evaluation *= CONTROLLED if has_control(node) else 1.0
        evaluations = (1 if node.inputs.get("cfg") == 1 else 2) * (2 if node.inputs.get("sampler_name") in TWICE else 1)
        return node.steps * evaluations * (nominal.launch + evaluation / self._speed)


def family_of(model: str) -> str:
    """Return the family of a model file. Raises StopIteration for a file that no job of the mix names."""
    return next(name for name in FAMILIES if name in model)


def _gib(file: str) -> float:
    """Return the size of a model file in GiB."""
    return next((family.gib for name, family in FAMILIES.items() if name in file), CONTROLNET_GIB)


def has_control(node: WorldNode) -> bool:
    """Return whether the prompt of a sampler has a ControlNet. The mix uses it in prompts with one sampler only."""
    return any("ControlNetApply" in str(other["class_type"]) for other in node.prompt.values())
