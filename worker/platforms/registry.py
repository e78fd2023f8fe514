"""The list of platforms, and the choice of one by its name or by the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import UnclearPlatform, UnknownPlatform
from worker.platforms.base import Detection, Platform
from worker.platforms.direct import Direct
from worker.platforms.modal.platform import Modal
from worker.platforms.runpod.platform import Runpod
from worker.platforms.vast.local import VastLocal
from worker.platforms.vast.platform import Vast

log = logging.getLogger("worker")

AUTO = "auto"
DIRECT = Direct()
PLATFORMS: Sequence[Platform] = (
    DIRECT,
    Vast(),
    VastLocal(),
    Modal(),
    Runpod(),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A platform, and the reason why it was chosen."""

    platform: Platform
    reason: str


def choose(name: str, environ: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS) -> Choice:
    """Return the platform of that name or, for `auto`, the one that detects its environment.

    For `auto` without any detected platform, return the platform `none`, with the missing evidence as the reason.
    Raises UnknownPlatform, and UnclearPlatform if `auto` finds two platforms or an incomplete environment.
    """
    if name != AUTO:
        named = {platform.name: platform for platform in platforms}
        if name not in named:
            raise UnknownPlatform(f"there is no platform {name!r}. The platforms: {', '.join([AUTO, *named])}")
        return Choice(named[name], "set by WORKER_PLATFORM or --platform")
    detections = [(platform, platform.detect(environ)) for platform in platforms]
    found = [(platform, detection) for platform, detection in detections if detection.found]
    if not found:
        return Choice(DIRECT, "; ".join(detection.evidence for _, detection in detections if detection.evidence))
    if len(found) > 1:
        raise UnclearPlatform(_ambiguity(found))
    [(platform, detection)] = found
    if detection.problem:
        raise UnclearPlatform(detection.problem)
    return Choice(platform, detection.evidence)


def _ambiguity(found: Sequence[tuple[Platform, Detection]]) -> str:
    """Return the message for an environment of several platforms."""
    evidence = "; ".join(f"{platform.name}: {detection.evidence}" for platform, detection in found)
    names = " or ".join(platform.name for platform, _ in found)
    return (
        f"the environment is that of several platforms ({evidence}): remove the variables of those where this worker "
        f"does not run, or set WORKER_PLATFORM to {names}"
    )


def choose_platform(name: str, environ: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS) -> Platform:
    """Return the platform that `choose` returns, and log it when it was detected. Raises what `choose` does."""
    choice = choose(name, environ, platforms)
    if name == AUTO:
        log.info("platform: %s (%s)", choice.platform.name, choice.reason)
    return choice.platform
