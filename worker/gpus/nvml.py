"""NVIDIA's management library (NVML), which the driver installs. All calls may block, for seconds on a broken GPU."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from worker.gpus.facts import Gpu, GpuReading, ThrottleReason

LIBRARY = "libnvidia-ml.so.1"
"""Name of the library. The container runtime puts it into a container that may use GPUs."""
REASONS = {
    0x04: ThrottleReason.POWER_CAP,
    0x08: ThrottleReason.HARDWARE,
    0x10: ThrottleReason.SYNC_BOOST,
    0x20: ThrottleReason.THERMAL,
    0x40: ThrottleReason.HARDWARE_THERMAL,
    0x80: ThrottleReason.POWER_BRAKE,
}
"""Bits of the reasons for a lower clock, from nvml.h. A GPU without work, and clocks that were set, do not count."""


class NoDriver(Exception):
    """This machine has no NVIDIA driver, or no GPU of NVIDIA."""


class DriverFailed(Exception):
    """The driver does not work at present. The message is the driver's own."""


class GpuDriver(Protocol):
    """Reads GPUs. Methods block, and raise DriverFailed."""

    def open(self) -> str:
        """Connect to the driver and return its version. Raises NoDriver where there is none."""

    def list_gpus(self) -> tuple[Gpu, ...]:
        """Return the GPUs that this process may use."""

    def read(self, gpu: Gpu) -> GpuReading | None:
        """Return a reading of a GPU, or None if the driver cannot read it, for example because it is off the bus."""

    def close(self) -> None:
        """Disconnect from the driver. Never raises."""


class Nvml:
    """The driver of this machine, through the package nvidia-ml-py."""

    def __init__(self) -> None:
        self._library: Any = None
        self._handles: dict[str, Any] = {}
        """NVML's handle of each GPU, by UUID."""

    def open(self) -> str:
        """Load the library, connect to the driver, and return its version."""
        try:
            ctypes.CDLL(LIBRARY)  # a machine without the library does not need the Python package, whose import is slow
        except OSError as error:
            raise NoDriver(str(error)) from error
        nvml = self._library = _bindings()
        try:
            nvml.nvmlInit()
            return str(nvml.nvmlSystemGetDriverVersion())
        except nvml.NVMLError as error:
            absent = {nvml.NVML_ERROR_DRIVER_NOT_LOADED, nvml.NVML_ERROR_LIBRARY_NOT_FOUND, nvml.NVML_ERROR_NOT_FOUND}
            raise (NoDriver if error.value in absent else DriverFailed)(str(error)) from error

    def list_gpus(self) -> tuple[Gpu, ...]:
        """Return the GPUs. One that the driver cannot identify is left out."""
        nvml = self._library
        try:
            count = nvml.nvmlDeviceGetCount()
        except nvml.NVMLError as error:
            raise DriverFailed(str(error)) from error
        gpus: list[Gpu] = []
        for index in range(count):
            with suppress(nvml.NVMLError):
                handle = nvml.nvmlDeviceGetHandleByIndex(index)
                name, uuid = str(nvml.nvmlDeviceGetName(handle)), str(nvml.nvmlDeviceGetUUID(handle))
                gpus.append(Gpu(index, uuid, name, self._instances(handle)))
                self._handles[uuid] = handle
        return tuple(gpus)

    def read(self, gpu: Gpu) -> GpuReading | None:
        """Return a reading, with None for each value that this GPU or this driver does not report."""
        handle = self._handles.get(gpu.uuid)
        try:
            return self._read(handle) if handle is not None else None
        except self._library.NVMLError:
            return None

    def close(self) -> None:
        """Disconnect from the driver. The library stays loaded."""
        self._handles.clear()
        if self._library is not None:
            with suppress(self._library.NVMLError):
                self._library.nvmlShutdown()

    def _read(self, handle: Any) -> GpuReading:  # noqa: ANN401 - the library has no types
        """Return a reading of the GPU with this handle. Raises NVMLError if the driver cannot read it."""
        nvml, supported = self._library, self._supported
        memory = supported(nvml.nvmlDeviceGetMemoryInfo, handle)
        usage = supported(nvml.nvmlDeviceGetUtilizationRates, handle)
        celsius = supported(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        reasons = supported(nvml.nvmlDeviceGetCurrentClocksThrottleReasons, handle)
        return GpuReading(
            utilization=_scaled(None if usage is None else usage.gpu, 0.01),
            memory_used_bytes=None if memory is None else int(memory.used),
            memory_total_bytes=None if memory is None else int(memory.total),
            power_watts=_scaled(supported(nvml.nvmlDeviceGetPowerUsage, handle), 1e-3),
            energy_joules=_scaled(supported(nvml.nvmlDeviceGetTotalEnergyConsumption, handle), 1e-3),
            temperature_celsius=_scaled(celsius, 1.0),
            clock_hertz=_scaled(supported(nvml.nvmlDeviceGetClockInfo, handle, nvml.NVML_CLOCK_SM), 1e6),
            throttled=frozenset(reason for bit, reason in REASONS.items() if (reasons or 0) & bit),
        )

    def _instances(self, handle: Any) -> tuple[str, ...]:  # noqa: ANN401 - the library has no types
        """Return the UUIDs of the MIG instances of a GPU. Most GPUs have none."""
        nvml = self._library
        uuids: list[str] = []
        for number in range(self._supported(nvml.nvmlDeviceGetMaxMigDeviceCount, handle) or 0):
            with suppress(nvml.NVMLError):  # no instance has this number
                uuids.append(str(nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetMigDeviceHandleByIndex(handle, number))))
        return tuple(uuids)

    def _supported(self, call: Callable[..., Any], *arguments: object) -> Any:  # noqa: ANN401
        """Return the result of a call, or None if the GPU or the driver does not support it. Raises NVMLError."""
        nvml = self._library
        try:
            return call(*arguments)
        except (nvml.NVMLError_NotSupported, nvml.NVMLError_FunctionNotFound, nvml.NVMLError_NoPermission):
            return None


def _bindings() -> Any:  # noqa: ANN401 - the library has no types
    """Return the module of nvidia-ml-py."""
    import pynvml

    return pynvml


def _scaled(value: float | None, factor: float) -> float | None:
    """Return a value in another unit, or None for None."""
    return None if value is None else value * factor
