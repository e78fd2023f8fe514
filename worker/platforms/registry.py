"""The list of platforms, and the choice of one by its name or by the environment."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import UnknownPlatform
from worker.platforms.base import Platform
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
    """Return the platform of that name or, for `auto`, the first one that detects its environment.

    For `auto` without any detected platform, return the platform `none`, with the missing evidence as the reason.
    Raises UnknownPlatform.
    """
    if name != AUTO:
        named = {platform.name: platform for platform in platforms}
        if name not in named:
            raise UnknownPlatform(f"there is no platform {name!r}. The platforms: {', '.join([AUTO, *named])}")
        return Choice(named[name], "set by WORKER_PLATFORM or --platform")
    missing_evidence = []
    for platform in platforms:
        detection = platform.detect(environ)
        if detection.found:
            return Choice(platform, detection.evidence)
        missing_evidence.append(detection.evidence)
    return Choice(DIRECT, "; ".join(filter(None, missing_evidence)))


def choose_platform(name: str, environ: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS) -> Platform:
    """Return the platform that `choose` returns, and log it when it was detected. Raises UnknownPlatform."""
    choice = choose(name, environ, platforms)
    if name == AUTO:
        log.info("platform: %s (%s)", choice.platform.name, choice.reason)
    return choice.platform
