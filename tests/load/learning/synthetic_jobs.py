"""Jobs whose true seconds come from a model that shares no code with the estimator."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field

from worker.load.node_work import JobWork, NodeKind, NodeWork

PRIOR_TFLOPS = 109.0
"""Speed of the GPU by the closed form, in 10^12 operations a second."""


@dataclass(frozen=True)
class SyntheticFamily:
    """A model family. The factors say how much longer it takes than the closed form predicts."""

    name: str
    tflop: float
    """For each megapixel and step."""
    sampler: float
    vae: float
    text: float
    batch_exponent: float


@dataclass(frozen=True)
class SyntheticShape:
    """A workflow that clients send again and again."""

    family: SyntheticFamily
    megapixels: float
    steps: int
    batch: int


@dataclass(frozen=True)
class SyntheticJob:
    """A job with the seconds that each of its nodes takes. Jobs of one `group` differ by noise alone."""

    group: object
    work: JobWork
    seconds: dict[str, float]


@dataclass
class SyntheticMachine:
    """A machine with one GPU, and the workflows that run on it.

    The constants of the families are wrong by up to 40 %, and those of the last two by more. The GPU is slower or
    faster than its class by up to a factor of 2, differently for each family, and slows down once by `throttle`.
    """

    seed: int
    shapes: int = 20
    noise: float = 0.05
    outliers: float = 0.02
    throttle_after: int | None = None
    jobs_are_slow_together: bool = False
    """Whether the noise is that of the job, instead of one of each node."""
    random: random.Random = field(init=False)
    speed: float = field(init=False)
    throttle: float = field(init=False)
    workflows: list[SyntheticShape] = field(init=False)

    def __post_init__(self) -> None:
        """Draw the machine."""
        draw = self.random = random.Random(self.seed)
        self.speed = math.exp(draw.uniform(math.log(0.5), math.log(2.0)))
        self.throttle = draw.uniform(1.25, 1.7)
        families = [self._family(f"family-{number}", is_unknown=number >= 6) for number in range(8)]
        sizes, steps, batches = (0.25, 0.5, 1.0, 2.0, 4.0), (4, 8, 20, 30, 50), (1, 1, 1, 2, 4)
        self.workflows = [
            SyntheticShape(draw.choice(families), draw.choice(sizes), draw.choice(steps), draw.choice(batches))
            for _ in range(self.shapes)
        ]

    def _family(self, name: str, *, is_unknown: bool) -> SyntheticFamily:
        """Draw a family."""
        draw = self.random
        unknown = math.exp(draw.uniform(-1.6, 1.6)) if is_unknown else 1.0
        interaction = math.exp(draw.gauss(0.0, 0.15))
        return SyntheticFamily(
            name,
            tflop=math.exp(draw.uniform(-1.0, 3.0)),
            sampler=draw.uniform(0.6, 1.4) * unknown * interaction,
            vae=draw.uniform(0.6, 1.4),
            text=math.exp(draw.gauss(0.0, 0.5)),
            batch_exponent=draw.uniform(0.75, 1.0),
        )

    def jobs(self, number: int) -> Iterator[SyntheticJob]:
        """Yield jobs, the first workflow most often."""
        weights = [1.0 / rank for rank in range(1, self.shapes + 1)]
        for done in range(number):
            shape = self.random.choices(self.workflows, weights)[0]
            is_throttled = self.throttle_after is not None and done >= self.throttle_after
            yield self._job(shape, self.speed * (self.throttle if is_throttled else 1.0), (shape, is_throttled))

    def _job(self, shape: SyntheticShape, speed: float, group: object) -> SyntheticJob:
        """Return a job with noise."""
        nodes = dict(_nodes(shape, speed))
        common = self._noise()
        seconds = {
            node.node_id: true_s * (common if self.jobs_are_slow_together else self._noise())
            for node, true_s in nodes.items()
        }
        work = JobWork(tuple(nodes), 0.0, {node.node_id: node.node_id.encode() for node in nodes}, {})
        return SyntheticJob(group, work, seconds)

    def _noise(self) -> float:
        """Return the factor of one run."""
        return math.exp(self.random.gauss(0.0, self.noise)) * (3.0 if self.random.random() < self.outliers else 1.0)


def _nodes(shape: SyntheticShape, speed: float) -> Iterator[tuple[NodeWork, float]]:
    """Yield the nodes of a workflow with their true seconds."""
    family, pixels, name = shape.family, shape.megapixels * shape.batch, shape.family.name
    size = f"{shape.megapixels}Mpx b{shape.batch}"
    tflop = family.tflop * pixels * shape.steps
    true_tflop = family.tflop * shape.megapixels * shape.batch**family.batch_exponent * shape.steps
    sampler = NodeWork("3", "KSampler", NodeKind.SAMPLER, name, "fp16", size, tflop, 0.02 * shape.steps, shape.steps)
    yield sampler, (true_tflop / PRIOR_TFLOPS * family.sampler + 0.01 * shape.steps) * speed
    decode = NodeWork("8", "VAEDecode", NodeKind.VAE_DECODE, name, shape=size, tflop=5.0 * pixels, fixed_s=0.01)
    yield decode, 5.0 * pixels / PRIOR_TFLOPS * family.vae * speed + 0.01
    for node_id in "67":
        yield NodeWork(node_id, "CLIPTextEncode", NodeKind.TEXT_ENCODE, name, fixed_s=0.1), 0.1 * family.text * speed
    yield NodeWork("9", "SaveImage", NodeKind.SAVE, shape=size, fixed_s=0.05 + 0.15 * pixels), 0.02 + 0.1 * pixels
    yield NodeWork("5", "PackNode", fixed_s=0.002), 0.3
