"""Which platform a worker is on, where nobody says."""

from __future__ import annotations

import dataclasses
import logging
from collections.abc import Mapping
from dataclasses import dataclass

from worker.settings import Settings

log = logging.getLogger("worker")

AUTO = "auto"
PLATFORMS = (AUTO, "none", "vast", "vast-local")
VAST_MARKS = ("CONTAINER_ID", "PUBLIC_IPADDR")
"""Vast's SDK can't do without these two, and nobody but Vast sets them both."""
VAST_SYNC_LIMIT_S = 540.0
"""Vast's client drops a request after 600 s and sends it again, without end; before that it has to be answered."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A platform's name, and why it was chosen."""

    name: str
    why: str


def choose(platform: str, environ: Mapping[str, str]) -> Choice:
    """What was named, or with `auto` what the environment shows."""
    if platform != AUTO:
        return Choice(platform, "WORKER_PLATFORM or --platform says so")
    missing = [name for name in VAST_MARKS if not environ.get(name)]
    if missing:
        return Choice("none", f"{' and '.join(missing)} not set, which Vast sets")
    return Choice("vast", f"{' and '.join(VAST_MARKS)} are set")


def placed(settings: Settings, environ: Mapping[str, str]) -> Settings:
    """The settings with a platform that is certain, and what follows from it."""
    choice = choose(settings.platform, environ)
    if settings.platform == AUTO:
        log.info("platform: %s (%s)", choice.name, choice.why)
    settings = dataclasses.replace(settings, platform=choice.name)
    if settings.behind_vast and not settings.sync_limit_s:
        return dataclasses.replace(settings, sync_limit_s=VAST_SYNC_LIMIT_S)
    return settings
