"""The search spaces by platform."""

from __future__ import annotations

from collections.abc import Mapping

from worker.fleet.advice.spaces.modal_space import ModalSpace
from worker.fleet.advice.spaces.runpod_space import RunpodSpace
from worker.fleet.advice.spaces.search_space import SearchSpace
from worker.fleet.advice.spaces.vast_space import VastSpace

SPACES: Mapping[str, type[SearchSpace]] = {space.platform: space for space in (VastSpace, RunpodSpace, ModalSpace)}
"""By the name of the platform."""
