"""Mixes of jobs: which kinds arrive, how often each of them, and how much work each is."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import accumulate

from worker.fleet.simulation.trace import TraceJob

HOUR = 3600.0


@dataclass(frozen=True, slots=True)
class MixItem:
    """One kind of job in a mix.

    Attributes:
        kind: Name of the kind. Jobs of one kind share their models.
        weight: Share of the jobs, relative to the sum of all weights.
        units: Work that the closed form predicts for each job, in seconds on an RTX 4090.
        seconds: Mean of the seconds that the jobs really take there.
        spread: Standard deviation of the logarithm of the seconds. With 0.2, two of three jobs are within 20 %.
        alternate: True for a kind that arrives only in every second hour, the odd ones.
    """

    kind: str
    weight: float
    units: float
    seconds: float
    spread: float = 0.2
    alternate: bool = False


PICTURES = (
    MixItem("sdxl", 40, 3.8, 3.8),
    MixItem("flux-schnell", 30, 2.9, 2.9),
    MixItem("z-image-turbo", 20, 4.2, 4.2),
    MixItem("flux-dev", 10, 12.9, 12.9),
)
"""Four templates of the library with their default parameters: 4.5 seconds a job in the mean."""
VIDEO = MixItem("wan22-i2v", 0, 110.0, 110.0, 0.25)
"""A video of 5 seconds at 480p, with the LoRAs that need four steps."""


class MixName(StrEnum):
    """Mixes that have a name."""

    PICTURES = "pictures"
    SDXL = "sdxl"
    VIDEO = "video"


MIXES: Mapping[MixName, Sequence[MixItem]] = {
    MixName.PICTURES: PICTURES,
    MixName.SDXL: PICTURES[:1],
    MixName.VIDEO: (replace(VIDEO, weight=1),),
}
"""The mixes by name."""


def with_videos(
    mix: Sequence[MixItem], share: float, *, alternate: bool = False, video: MixItem = VIDEO
) -> list[MixItem]:
    """Return the mix with a `share` of videos among its jobs.

    With `alternate`, videos arrive only in every second hour, twice as often, so that their share of all jobs is the
    same. Raises ValueError when the share is not from 0 to below 1, or to below 0.5 with `alternate`.
    """
    in_their_hours = 2 * share if alternate else share
    if not 0 <= in_their_hours < 1:
        limit = "0.5 when they arrive in every second hour" if alternate else "1"
        raise ValueError(f"a share of videos of {share:g} is not from 0 to below {limit}")
    weight = sum(item.weight for item in mix) * in_their_hours / (1 - in_their_hours)
    return [*mix, replace(video, weight=weight, alternate=alternate)]


def mixed(times: Sequence[float], mix: Sequence[MixItem], seed: int) -> list[TraceJob]:
    """Return one job for each arrival time, with kinds and seconds drawn from the mix."""
    chance = random.Random(f"mix {seed}")  # noqa: S311 - not for security; its own stream, so a mix changes no arrival
    weights = [list(accumulate(_weight_in(item, hour) for item in mix)) for hour in (0, 1)]
    jobs = []
    for at_s in times:
        (item,) = chance.choices(mix, cum_weights=weights[int(at_s // HOUR) % 2])
        # The mean of a log-normal number is exp(mu + spread^2 / 2).
        factor = math.exp(chance.gauss(-(item.spread**2) / 2, item.spread)) if item.spread else 1.0
        jobs.append(TraceJob(at_s, item.units, item.seconds * factor, item.kind))
    return jobs


def mean_seconds(mix: Sequence[MixItem]) -> float:
    """Return the mean seconds of a job of the mix."""
    means = []
    for hour in (0, 1):
        weights = [_weight_in(item, hour) for item in mix]
        work = sum(weight * item.seconds for weight, item in zip(weights, mix, strict=True))
        means.append(work / sum(weights))
    return sum(means) / len(means)


def _weight_in(item: MixItem, hour: int) -> float:
    """Return the weight of a kind in an hour. Kinds that alternate arrive in odd hours."""
    return 0.0 if item.alternate and hour % 2 == 0 else item.weight
