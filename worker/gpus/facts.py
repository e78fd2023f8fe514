"""What NVIDIA's driver reports about GPUs: their identity, and how they work at a moment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class ThrottleReason(StrEnum):
    """Reasons why the driver lowers the clock of a GPU that has work."""

    POWER_CAP = "power_cap"
    """The GPU draws as much power as its limit allows. Under full load this is usual."""
    THERMAL = "thermal"
    """The driver lowers the clock because of the temperature."""
    HARDWARE_THERMAL = "hardware_thermal"
    """The GPU itself halves its clock or more, because it is too hot."""
    POWER_BRAKE = "power_brake"
    """The power supply of the machine asks the GPU to draw less."""
    HARDWARE = "hardware"
    """The GPU itself halves its clock or more, for one of the two reasons above or for another one."""
    SYNC_BOOST = "sync_boost"
    """The GPU keeps the clock of a slower GPU of its group."""


@dataclass(frozen=True, slots=True)
class Gpu:
    """The identity of a GPU. `index` is that of nvidia-smi. `instances` are the UUIDs of its MIG instances."""

    index: int
    uuid: str
    name: str
    instances: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GpuReading:
    """How a GPU works at a moment. None stands for a value that the GPU does not report.

    `utilization` is the share of the last moments in which the GPU ran a program, from 0 to 1. `energy_joules` counts
    from the start of the driver.
    """

    utilization: float | None = None
    memory_used_bytes: int | None = None
    memory_total_bytes: int | None = None
    power_watts: float | None = None
    energy_joules: float | None = None
    temperature_celsius: float | None = None
    clock_hertz: float | None = None
    throttled: frozenset[ThrottleReason] = frozenset()


@dataclass(frozen=True, slots=True)
class GpuState:
    """A GPU, its last reading, and the seconds for which it was throttled since the worker started, by reason.

    `engine` is the name of the engine that uses the GPU, or empty if that is not known. `reading` is None while the
    driver cannot read the GPU.
    """

    gpu: Gpu
    engine: str = ""
    reading: GpuReading | None = None
    throttled_s: Mapping[ThrottleReason, float] = field(default_factory=dict)

    def __str__(self) -> str:
        """The state as part of a log line: what may explain that the GPU is slow."""
        name = f"GPU {self.gpu.index} ({self.gpu.name})"
        if self.reading is None:
            return f"{name} does not respond to its driver"
        facts = []
        if self.reading.temperature_celsius is not None:
            facts.append(f"{self.reading.temperature_celsius:.0f} °C")
        if self.reading.clock_hertz is not None:
            facts.append(f"{self.reading.clock_hertz / 1e6:.0f} MHz")
        if self.reading.throttled:
            facts.append(f"throttled by {', '.join(sorted(self.reading.throttled))}")
        return f"{name}: {', '.join(facts)}" if facts else name

    def as_dict(self) -> dict[str, object]:
        """Return the state for `GET /capabilities`."""
        reading = self.reading or GpuReading()
        return {
            "index": self.gpu.index,
            "uuid": self.gpu.uuid,
            "name": self.gpu.name,
            "engine": self.engine or None,
            "readable": self.reading is not None,
            "utilization": reading.utilization,
            "memory_used_bytes": reading.memory_used_bytes,
            "memory_total_bytes": reading.memory_total_bytes,
            "power_watts": reading.power_watts,
            "temperature_celsius": reading.temperature_celsius,
            "clock_hertz": reading.clock_hertz,
            "throttled": sorted(reading.throttled),
        }


@dataclass(frozen=True, slots=True)
class GpuReport:
    """The version of the driver, and the state of each GPU that the worker's engines can use.

    Both are empty on a machine without NVIDIA's driver.
    """

    driver: str = ""
    gpus: tuple[GpuState, ...] = ()


NO_GPUS = GpuReport()
"""The report of a machine without NVIDIA's driver."""
