"""Estimates the workload of a prompt in units. One unit is one second on an RTX 4090, before anything is learned."""

from __future__ import annotations

from collections.abc import Mapping

from worker.load.features.content_size import Size
from worker.load.work import CEILING, FLOOR, units
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

__all__ = ["CEILING", "FLOOR", "workload"]


def workload(prompt: Prompt, catalog: Catalog | None = None, sizes: Mapping[str, Size] | None = None) -> float:
    """Return the workload of a prompt in units, from `FLOOR` to `CEILING`. Never raises.

    A client computes the same number from the request alone. With a catalog, nodes that no output needs, and nodes that
    run on other machines, do not count. `sizes` are the sizes of the files that the prompt names, where they are known.
    """
    return units(prompt, catalog, sizes)
