"""How well the worker predicts the time of a run."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, below, graph, query
from monitoring.promql import quantile, rate
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_errors(), *_quantiles()]


def _errors() -> Sequence[Panel]:
    """Return the panels about the error of predictions."""
    return [
        graph(
            "Real time divided by predicted time",
            "2 means that runs take twice as long as predicted. The median should be close to 1. If it stays above 2 "
            "or below 0.5, the load that the autoscaler gets is wrong: see docs/monitoring.md.",
            units.NoUnit,
            query(quantile(0.1, specs.PREDICTION_RATIO), "p10"),
            query(quantile(0.5, specs.PREDICTION_RATIO), "median"),
            query(quantile(0.9, specs.PREDICTION_RATIO), "p90"),
        ),
        graph(
            "Real time divided by predicted time, median by template",
            "A template far from 1 has nodes that the worker knows little about. The worker learns from each run, and "
            "should be closer after about 50 runs.",
            units.NoUnit,
            query(quantile(0.5, specs.PREDICTION_RATIO, "template", "cold"), "{{template}}, cold: {{cold}}"),
        ),
        graph(
            "Share of runs within a factor of 1.5",
            "Runs that took between 0.67 and 1.5 times the predicted time. It falls for some time after a new model, "
            "driver or image.",
            units.PercentUnit,
            query(f"({_up_to('1.5')} - {_up_to('0.67')}) / {rate(specs.PREDICTION_RATIO, suffix='_count')}", "all"),
            limits=below(0.9, 0.7),
        ).max(1),
    ]


def _quantiles() -> Sequence[Panel]:
    """Return the panels about what was predicted."""
    return [
        graph(
            "Share of runs within the predicted 90 % quantile",
            "It should be close to 90 %. Below, Retry-After and ETAs are too short. At 100 % they are too long.",
            units.PercentUnit,
            query(f"{_within_p90()} / {rate(specs.PREDICTIONS)}", "all"),
            limits=below(0.85, 0.7),
        ).max(1),
        graph(
            "Predicted time of a run, median by template",
            "What the worker expects of ComfyUI, without waits and delivery. Compare it between workers with different "
            "GPUs to see what a GPU is worth.",
            units.Seconds,
            query(quantile(0.5, specs.PREDICTED, "template", "cold"), "{{template}}, cold: {{cold}}"),
        ),
        graph(
            "Runs that load models, share",
            "Runs that were expected to load models. If it is high, workers switch between models: give a template "
            "workers of its own, or GPUs with more memory.",
            units.PercentUnit,
            query(f"({_cold()} or vector(0)) / {rate(specs.PREDICTED, suffix='_count')}", "all"),
        ).max(1),
    ]


def _up_to(bound: str) -> str:
    """Return how many runs in a second took at most this multiple of their predicted time."""
    return rate(specs.PREDICTION_RATIO, where=f'le="{bound}"', suffix="_bucket")


def _within_p90() -> str:
    """Return how many runs in a second kept to the predicted 90 % quantile."""
    return rate(specs.PREDICTIONS, where='within_p90="true"')


def _cold() -> str:
    """Return how many runs in a second were expected to load models."""
    return rate(specs.PREDICTED, where='cold="true"', suffix="_count")
