"""How the GPUs work, as NVIDIA's driver reports it, and how well they are used."""

from __future__ import annotations

from collections.abc import Sequence

from grafana_foundation_sdk.models import units

from monitoring.panels import Panel, above, graph, query
from monitoring.promql import added, highest, quantile, rate, selector
from worker.observers import metric_specs as specs

GPU = "{{instance}} GPU {{gpu}}"
ENGINE = "{{instance}} {{engine}}"


def panels() -> Sequence[Panel]:
    """Return the panels."""
    return [*_use(), *_state(), *_speed()]


def _use() -> Sequence[Panel]:
    """Return the panels about the use of the GPUs."""
    busy, idle = (rate(spec, "instance", "engine") for spec in (specs.BUSY, specs.IDLE))
    return [
        graph(
            "Share of the time in which an engine runs a job",
            "Paid time in which a GPU works. If it is low on all workers for hours, the fleet is too large: lower "
            "min_load or target_util. If it is low while jobs wait, see the gaps between jobs.",
            units.PercentUnit,
            query(f"{busy} / ({busy} + {idle})", ENGINE),
        ).max(1),
        graph(
            "Gap between two jobs",
            "Time in which the GPU was idle although a job was already in the queue of ComfyUI. Above 0.1 s, the "
            "processor of the machine is too slow.",
            units.Seconds,
            query(quantile(0.5, specs.GPU_GAP), "p50"),
            query(quantile(0.95, specs.GPU_GAP), "p95"),
            limits=above(0.1, 1),
        ),
        graph(
            "GPU utilisation",
            "As in nvidia-smi: the share of time in which any program ran on the GPU. Low values while a job runs mean "
            "that the job waits for the processor or the disk.",
            units.PercentUnit,
            query(highest(specs.GPU_UTILIZATION, "instance", "gpu"), GPU),
        ).max(1),
    ]


def _state() -> Sequence[Panel]:
    """Return the panels about the state of the GPUs."""
    used, total = (selector(spec) for spec in (specs.GPU_MEMORY_USED, specs.GPU_MEMORY_TOTAL))
    return [
        graph(
            "GPU memory in use, share",
            "Near 100 % is usual, because ComfyUI keeps models loaded. If jobs fail with out_of_memory, choose a "
            "larger GPU for their template.",
            units.PercentUnit,
            query(f"{used} / {total}", GPU),
        ).max(1),
        graph(
            "GPU temperature",
            "Above 85 °C most GPUs lower their clock. It is the host's cooling: replace the worker.",
            units.Celsius,
            query(highest(specs.GPU_TEMPERATURE, "instance", "gpu"), GPU),
            limits=above(83, 90),
        ),
        graph(
            "GPU power",
            "Under load it is close to the limit of the card. A GPU far below its siblings has a lower limit or waits.",
            units.Watt,
            query(highest(specs.GPU_POWER, "instance", "gpu"), GPU),
        ),
    ]


def _speed() -> Sequence[Panel]:
    """Return the panels about what slows the GPUs down."""
    return [
        graph(
            "Share of the time in which a GPU is throttled, by reason",
            "power_cap is usual under full load. thermal, hardware_thermal, hardware and power_brake are faults of the "
            "machine: replace the worker if they last.",
            units.PercentUnit,
            query(rate(specs.GPU_THROTTLED, "instance", "gpu", "reason"), f"{GPU}: {{{{reason}}}}"),
            limits=above(0.2, 0.5),
        ).max(1),
        graph(
            "Slower than its GPU class, by factor",
            "Time that jobs need, divided by what is known of the GPU model. Above 1.5 for long, look at throttling, "
            "temperature and clock, and replace the worker. WORKER_MIN_PERF can do it automatically.",
            units.NoUnit,
            query(highest(specs.SLOWDOWN, "instance", "engine"), ENGINE),
            limits=above(1.5, 2),
        ),
        graph(
            "Lasting slowdowns of an engine, since the start of the worker",
            "How often jobs became slower for good on an engine, compared with what it did before. Look for a change "
            "at that time: another tenant of the machine, a lower clock, a new driver.",
            units.Short,
            query(added(specs.SLOWED, "instance", "engine"), ENGINE),
        ),
        graph(
            "GPU clock",
            "It is low when the GPU is idle or throttled. Compare GPUs of the same model under load.",
            units.Hertz,
            query(highest(specs.GPU_CLOCK, "instance", "gpu"), GPU),
        ),
        graph(
            "GPUs that the driver cannot read",
            "1 means that the driver of the machine has lost the GPU. Jobs fail with gpu_failed: replace the worker.",
            units.Short,
            query(f"1 - {highest(specs.GPU_UP, 'instance', 'gpu')}", GPU),
            limits=above(1, 1),
        ),
        graph(
            "GPUs, by model and driver",
            "What the fleet consists of. A driver that differs from the others can explain another speed.",
            units.Short,
            query(f"count by (name, driver) ({selector(specs.GPU_INFO)})", "{{name}}, driver {{driver}}"),
        ),
    ]
