"""The metrics of the GPUs, as NVIDIA's driver reports them."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client import Metric

from worker.gpus.facts import GpuReading, GpuReport
from worker.observers import metric_specs as specs
from worker.observers.families import metric_family
from worker.observers.metric_specs import MetricSpec


def gpu_metrics(report: GpuReport) -> Iterator[Metric]:
    """Yield the metrics of all GPUs. A value that a GPU does not report is left out."""
    values: dict[MetricSpec, dict[tuple[str, ...], float]] = {}
    for state in report.gpus:
        gpu = str(state.gpu.index)
        info = (gpu, state.gpu.uuid, state.gpu.name, report.driver, state.engine)
        values.setdefault(specs.GPU_INFO, {})[info] = 1
        values.setdefault(specs.GPU_UP, {})[gpu,] = state.reading is not None
        for spec, value in _readings(state.reading).items():
            if value is not None:
                values.setdefault(spec, {})[gpu,] = value
        for reason, seconds in state.throttled_s.items():
            values.setdefault(specs.GPU_THROTTLED, {})[gpu, reason] = seconds
    for spec, series in values.items():
        yield metric_family(spec, series)


def _readings(reading: GpuReading | None) -> dict[MetricSpec, float | None]:
    """Return the metrics of a reading. There are none without a reading."""
    if reading is None:
        return {}
    return {
        specs.GPU_UTILIZATION: reading.utilization,
        specs.GPU_MEMORY_USED: reading.memory_used_bytes,
        specs.GPU_MEMORY_TOTAL: reading.memory_total_bytes,
        specs.GPU_POWER: reading.power_watts,
        specs.GPU_ENERGY: reading.energy_joules,
        specs.GPU_TEMPERATURE: reading.temperature_celsius,
        specs.GPU_CLOCK: reading.clock_hertz,
    }
