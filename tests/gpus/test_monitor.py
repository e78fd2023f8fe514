"""The monitor reads a driver in a thread of its own, and keeps the last reading."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from worker.gpus.facts import NO_GPUS, Gpu, GpuReading, ThrottleReason
from worker.gpus.monitor import GpuMonitor
from worker.gpus.nvml import DriverFailed, NoDriver

GPU = Gpu(0, "GPU-1", "NVIDIA L4")
READING = GpuReading(utilization=0.5, throttled=frozenset({ThrottleReason.THERMAL}))


@dataclass
class PlainDriver:
    """A driver with the given readings. `failure` is raised instead of connecting."""

    reading: GpuReading | None = READING
    failure: Exception | None = None
    may_continue: threading.Event = field(default_factory=threading.Event)
    opened: int = 0

    def __post_init__(self) -> None:
        self.may_continue.set()

    def open(self) -> str:
        self.opened += 1
        if self.failure is not None:
            raise self.failure
        return "550.54"

    def list_gpus(self) -> tuple[Gpu, ...]:
        return (GPU,)

    def read(self, gpu: Gpu) -> GpuReading | None:
        self.may_continue.wait()
        return self.reading

    def close(self) -> None:
        return


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_last_reading_is_reported() -> None:
    """The report has the driver, the reading and the time for which the GPU was throttled."""
    with GpuMonitor(PlainDriver(), {"engine-0": None}, interval_s=0.05).running() as monitor:
        assert await monitor.driver_version() == "550.54"
        await until(lambda: monitor.report().gpus[0].throttled_s[ThrottleReason.THERMAL] >= 0.1)
        [state] = monitor.report().gpus
    assert (state.gpu, state.engine, state.reading) == (GPU, "engine-0", READING)
    assert state.throttled_s[ThrottleReason.POWER_CAP] == 0.0


async def test_a_driver_that_hangs_makes_the_reading_stale(caplog: pytest.LogCaptureFixture) -> None:
    """While a call hangs, the report does not wait, and after a while the GPU has no reading. Both are logged once."""
    caplog.set_level("INFO")
    driver = PlainDriver()
    with GpuMonitor(driver, {}, interval_s=0.01, stale_s=0.3).running() as monitor:
        await until(lambda: monitor.report().gpus)
        driver.may_continue.clear()
        await until(lambda: monitor.report().gpus[0].reading is None)
        driver.may_continue.set()
        await until(lambda: monitor.report().gpus[0].reading)
    lines = [record.message for record in caplog.records if "driver" in record.message]
    assert [line.split()[-1] for line in lines[:2]] == ["s", "again"]


async def test_a_machine_without_a_driver_is_asked_once(caplog: pytest.LogCaptureFixture) -> None:
    """Without a driver, the thread ends, the report is empty and nothing is logged."""
    driver = PlainDriver(failure=NoDriver("no library"))
    with GpuMonitor(driver, {}, interval_s=0.01).running() as monitor:
        assert await monitor.driver_version() == ""
        await until(lambda: not [thread for thread in threading.enumerate() if thread.name == "gpu-monitor"])
        assert monitor.report() == NO_GPUS
    assert driver.opened == 1
    assert not caplog.records


async def test_a_driver_that_fails_is_logged_and_does_not_delay(caplog: pytest.LogCaptureFixture) -> None:
    """A driver that cannot be used is logged once, and its version is unknown without a long wait."""
    driver = PlainDriver(failure=DriverFailed("Driver/library version mismatch"))
    with GpuMonitor(driver, {}).running() as monitor:
        assert await monitor.driver_version() == ""
        await until(lambda: caplog.records)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "version mismatch" in caplog.text


async def test_a_lost_gpu_stays_in_the_report() -> None:
    """A GPU that the driver cannot read any more is reported without a reading."""
    driver = PlainDriver()
    with GpuMonitor(driver, {}, interval_s=0.01).running() as monitor:
        await until(lambda: monitor.report().gpus)
        driver.reading = None
        await until(lambda: monitor.report().gpus[0].reading is None)
        assert monitor.report().gpus[0].gpu == GPU
