"""How much work a prompt is, in units of which the benchmark workflow has 100."""

from __future__ import annotations

from worker.graph.catalog import Catalog
from worker.graph.prompt import Prompt

BENCHMARK = 100.0
FLOOR = 1.0


def workload(prompt: Prompt, catalog: Catalog | None = None) -> float:
    """Estimate the work of a prompt; the benchmark is 20 steps at 512x512, batch 1, and is 100.

    Never raises and is never below `FLOOR`.
    """
    raise NotImplementedError
