"""The search spaces by platform."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from worker.fleet.advice.spaces.modal_space import ModalSpace
from worker.fleet.advice.spaces.runpod_space import RunpodSpace
from worker.fleet.advice.spaces.search_space import SearchSpace
from worker.fleet.advice.spaces.vast_space import VastSpace
from worker.fleet.definition.fleet import Fleet
from worker.fleet.simulation.trace import TraceJob

SPACES: Mapping[str, type[SearchSpace]] = {space.platform: space for space in (VastSpace, RunpodSpace, ModalSpace)}
"""By the name of the platform."""


def search_space(platform: str, fleet: Fleet, jobs: Sequence[TraceJob]) -> SearchSpace:
    """Return the search space of a platform. Raises KeyError for one that cannot be simulated."""
    return SPACES[platform](fleet, jobs)
