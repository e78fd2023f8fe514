"""The platforms, and the choice among them where no name is given."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from worker.errors import UnknownPlatform
from worker.platforms.base import Platform
from worker.platforms.direct import Direct
from worker.platforms.vast.local import VastLocal
from worker.platforms.vast.platform import Vast

log = logging.getLogger("worker")

AUTO = "auto"
DIRECT = Direct()
PLATFORMS: Sequence[Platform] = (
    DIRECT,
    Vast(),
    VastLocal(),
)


@dataclass(frozen=True, slots=True)
class Choice:
    """A platform, and why it was chosen."""

    platform: Platform
    why: str


def choose(name: str, environ: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS) -> Choice:
    """Return the platform of that name or, for `auto`, the first one whose environment this is.

    Raises UnknownPlatform.
    """
    if name != AUTO:
        named = {platform.name: platform for platform in platforms}
        if name not in named:
            raise UnknownPlatform(f"the platform is one of {', '.join([AUTO, *named])}, not {name!r}")
        return Choice(named[name], "WORKER_PLATFORM or --platform says so")
    missing = []
    for platform in platforms:
        detection = platform.detect(environ)
        if detection.found:
            return Choice(platform, detection.evidence)
        missing.append(detection.evidence)
    return Choice(DIRECT, "; ".join(filter(None, missing)))


def choose_platform(name: str, environ: Mapping[str, str], platforms: Sequence[Platform] = PLATFORMS) -> Platform:
    """Return the platform that `choose` does; one that was detected is logged. Raises UnknownPlatform."""
    choice = choose(name, environ, platforms)
    if name == AUTO:
        log.info("platform: %s (%s)", choice.platform.name, choice.why)
    return choice.platform
