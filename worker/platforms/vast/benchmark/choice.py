"""The settings that choose the job of the benchmark. A fleet whose workers have none of them cannot be scaled."""

from __future__ import annotations

PACKAGED = "packaged"
"""Value of WORKER_BENCHMARK for the packaged workflow, which needs no model and says little about a GPU."""
CHOICES = ("WORKER_MODELS", "WORKER_BENCHMARK")
"""Variables of which one has to be set."""
MISSING = "no job measures the speed of the workers, by which Vast scales them"
CURE = (
    "set WORKER_MODELS to the templates of the workers, or WORKER_BENCHMARK to a template or to the file of a workflow "
    "that clients send (`packaged` measures a workflow without models, which says little about a GPU)"
)


def chosen_name(benchmark: str, models: str) -> str:
    """Return what the settings WORKER_BENCHMARK and WORKER_MODELS choose: a template, a path or `packaged`.

    Without WORKER_BENCHMARK it is the first template of WORKER_MODELS. Return an empty string without either.
    """
    return benchmark or next(filter(None, map(str.strip, models.split(","))), "")
