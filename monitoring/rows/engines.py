"""ComfyUI processes, and the machine under them."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, below, graph, query, stacked
from monitoring.promql import added, highest, mean_since_start, quantile, selector
from worker.observers import metric_specs as specs


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_engines(), *_machine()]


def _engines() -> Sequence[Panel]:
    """Return the panels about ComfyUI processes."""
    return [
        stacked(
            graph(
                "Engines, by state",
                "An engine is one ComfyUI process on one GPU. An engine that is away starts, or does not respond. Read "
                "engine.log in the state folder of the worker.",
                units.Short,
                query(added(specs.ENGINES, "state"), "{{state}}"),
            )
        ),
        graph(
            "Starts and losses of engines, since the start of the worker",
            "ended is a crash, restarted a hang that the worker ended, no_answer a failed start, and disconnected a "
            "broken connection. Several losses of one worker mean a bad machine or a workflow that crashes ComfyUI.",
            units.Short,
            query(added(specs.ENGINE_STARTS, "instance", "engine"), "{{instance}} {{engine}} started"),
            query(added(specs.ENGINE_LOSSES, "instance", "engine", "cause"), "{{instance}} {{engine}} {{cause}}"),
        ),
        graph(
            "Start time of ComfyUI, mean since the start of the worker",
            "Without the download of models. If it grows, look for a slow disk or a new node pack.",
            units.Seconds,
            query(mean_since_start(specs.ENGINE_START, "instance", "engine"), "{{instance}} {{engine}}"),
        ),
    ]


def _machine() -> Sequence[Panel]:
    """Return the panels about the worker's process and its machine."""
    return [
        graph(
            "Failures of background tasks, since the start of the worker",
            "The worker restarts a failed task with pauses. Its log has the traceback. Report it as a bug.",
            units.Short,
            query(added(specs.TASK_FAILURES, "instance", "task"), "{{instance}} {{task}}"),
            limits=above(1, 5),
        ),
        graph(
            "Free space on the disk of the state folder",
            "Below WORKER_MIN_FREE_MIB (256) requests get 503 disk_full. Lower WORKER_OUTPUTS_QUOTA_MIB or "
            "WORKER_MODELS_QUOTA_GIB, or rent a larger disk.",
            units.BytesIEC,
            query(selector(specs.DISK_FREE), "{{instance}}"),
            limits=below(10 * 2**30, 2 * 2**30),
        ),
        graph(
            "Delay of the event loop, p99",
            "If it exceeds 0.1 s, the processor is too slow or shared: events arrive late, and the GPU waits.",
            units.Seconds,
            query(quantile(0.99, specs.LOOP_LAG, "instance"), "{{instance}}"),
            limits=above(0.1, 0.5),
        ),
        graph(
            "Jobs that the journal could not read",
            "Jobs of an earlier process, which do not continue. The log has the reason: a damaged disk, or another "
            "version of the worker.",
            units.Short,
            query(highest(specs.SET_ASIDE, "instance"), "{{instance}}"),
            limits=above(1, 1),
        ),
    ]
