"""The rows of the dashboard, from the question that comes first to the details."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from monitoring.panels import Panel
from monitoring.rows import cost, engines, gpu, load, models, overview, predictions, traffic, waits

ROWS: dict[str, Callable[[], Sequence[Panel]]] = {
    "Overview": overview.panels,
    "Traffic and outcomes": traffic.panels,
    "Waits and stages": waits.panels,
    "Load and autoscaler": load.panels,
    "Predictions": predictions.panels,
    "GPU": gpu.panels,
    "Models, files and caches": models.panels,
    "Engines and machine": engines.panels,
    "Cost": cost.panels,
}
"""Functions that return the panels of a row, by its title."""
