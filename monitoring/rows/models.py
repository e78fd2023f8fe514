"""Files: models, inputs, outputs and caches."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, graph, query
from monitoring.promql import per_minute, quantile, rate
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_loads(), *_models(), *_inputs()]


def _loads() -> Sequence[Panel]:
    """Return the panels about the loading of models into the memory of GPUs."""
    return [
        graph(
            "Loads of models into GPU memory per minute, by tier",
            "From the memory of the machine or from its disk. Many loads mean that workers switch between models: give "
            "a template workers of its own, or GPUs with more memory.",
            units.CountsPerMinute,
            query(per_minute(specs.MODEL_LOADS, "tier"), "{{tier}}"),
        ),
        graph(
            "Time to load a model into GPU memory, by tier",
            "Clients wait for it in the stage generating. If loads from the disk are slow, choose machines with faster "
            "disks or more memory.",
            units.Seconds,
            query(quantile(0.5, specs.MODEL_LOAD, "tier"), "{{tier}} p50"),
            query(quantile(0.95, specs.MODEL_LOAD, "tier"), "{{tier}} p95"),
        ),
        graph(
            "Share of the time of nodes that loads models",
            "Time in which a GPU waits for weights. If it is above 5 %, look at how often models are loaded, and how "
            "long that takes.",
            units.PercentUnit,
            query(f"{rate(specs.MODEL_LOAD, suffix='_sum')} / {rate(specs.NODE, suffix='_sum')}", "all"),
        ),
    ]


def _models() -> Sequence[Panel]:
    """Return the panels about model files."""
    return [
        graph(
            "Downloads of models per minute, by error code",
            "A code means that the download failed. Many downloads on workers that have run for long mean that "
            "WORKER_MODELS_QUOTA_GIB is too small.",
            units.CountsPerMinute,
            query(per_minute(specs.MODEL_FETCHES, "code"), "{{code}}"),
        ),
        graph(
            "Time to download a model",
            "A new worker needs this before it is ready. If it is long, bake the models into the image.",
            units.Seconds,
            query(quantile(0.5, specs.MODEL_FETCH), "p50"),
            query(quantile(0.95, specs.MODEL_FETCH), "p95"),
        ),
        graph(
            "Downloaded bytes per second",
            "Traffic for models and input files, and for files of outputs that are delivered.",
            units.BytesPerSecondIEC,
            query(rate(specs.MODEL_BYTES), "models"),
            query(rate(specs.INPUT_BYTES), "inputs"),
            query(rate(specs.DELIVERED_BYTES, "way"), "delivered: {{way}}"),
        ),
    ]


def _inputs() -> Sequence[Panel]:
    """Return the panels about input files and caches."""
    return [
        graph(
            "Downloads of input files per minute, by error code",
            "fetch_failed and url_refused are the client's URLs. If only one worker has them, suspect its network.",
            units.CountsPerMinute,
            query(per_minute(specs.INPUT_FETCHES, "code"), "{{code}}"),
        ),
        graph(
            "Time to download an input file",
            "Jobs spend this in the stage preparing, while the GPU can run other jobs.",
            units.Seconds,
            query(quantile(0.5, specs.INPUT_FETCH), "p50"),
            query(quantile(0.95, specs.INPUT_FETCH), "p95"),
        ),
        graph(
            "Hits of caches per minute",
            "Files that were not downloaded and nodes that did not run again, because the worker had them.",
            units.CountsPerMinute,
            query(per_minute(specs.CACHE_HITS, "cache"), "{{cache}}"),
        ),
        graph(
            "Time to deliver the files of a job, p95",
            "By the way of delivery. If a bucket is slow, choose one in the region of the workers.",
            units.Seconds,
            query(quantile(0.95, specs.DELIVERY, "way"), "{{way}}"),
        ),
    ]
