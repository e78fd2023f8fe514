"""GPUs of the driver's report are metrics. What is not reported is left out."""

from __future__ import annotations

from dataclasses import replace

from tests.observers.test_metrics import NOW
from worker.gpus.facts import NO_GPUS, Gpu, GpuReading, GpuReport, GpuState, ThrottleReason
from worker.observers.metrics import Metrics

READING = GpuReading(utilization=0.25, memory_used_bytes=5, power_watts=80.5, energy_joules=7.0)


def page(*states: GpuState) -> str:
    """Return the metrics page with these GPUs."""
    report = GpuReport("550.54", states) if states else NO_GPUS
    return Metrics([]).render(replace(NOW, gpus=report), "")[0].decode()


def test_a_machine_without_gpus_has_no_metrics_of_gpus() -> None:
    """Without a driver, not even the names of the metrics are in the page."""
    assert "comfy_worker_gpu_" not in page().replace("comfy_worker_gpu_gap_seconds", "")


def test_the_values_of_each_gpu() -> None:
    """Values have the index as label, and counters have the type counter."""
    throttled = {ThrottleReason.THERMAL: 1.5, ThrottleReason.POWER_CAP: 0.0}
    text = page(GpuState(Gpu(3, "GPU-3", 'An "odd" name'), "engine-1", READING, throttled))
    for line in (
        'comfy_worker_gpu_up{gpu="3"} 1.0',
        'comfy_worker_gpu_utilization_ratio{gpu="3"} 0.25',
        'comfy_worker_gpu_power_watts{gpu="3"} 80.5',
        "# TYPE comfy_worker_gpu_energy_joules_total counter",
        'comfy_worker_gpu_energy_joules_total{gpu="3"} 7.0',
        'comfy_worker_gpu_throttle_seconds_total{gpu="3",reason="thermal"} 1.5',
        'comfy_worker_gpu_throttle_seconds_total{gpu="3",reason="power_cap"} 0.0',
    ):
        assert line in text
    assert r'engine="engine-1",gpu="3",name="An \"odd\" name",uuid="GPU-3"} 1.0' in text
    assert "comfy_worker_gpu_temperature_celsius{" not in text


def test_a_gpu_that_cannot_be_read_is_down() -> None:
    """Its values are missing, and the counter of throttled seconds goes on."""
    lost = GpuState(Gpu(0, "GPU-0", "A100"), "", None, {ThrottleReason.HARDWARE: 9.0})
    text = page(lost, GpuState(Gpu(1, "GPU-1", "A100"), "engine-0", READING))
    assert 'comfy_worker_gpu_up{gpu="0"} 0.0' in text
    assert 'comfy_worker_gpu_up{gpu="1"} 1.0' in text
    assert 'comfy_worker_gpu_power_watts{gpu="0"}' not in text
    assert 'comfy_worker_gpu_throttle_seconds_total{gpu="0",reason="hardware"} 9.0' in text
