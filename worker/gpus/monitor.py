"""Reads the GPUs again and again in a thread of its own, so that a driver that does not respond holds up nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Self

from worker.backoff import Backoff
from worker.gpus.facts import NO_GPUS, Gpu, GpuReading, GpuReport, GpuState, ThrottleReason
from worker.gpus.nvml import DriverFailed, GpuDriver, NoDriver
from worker.gpus.visible import engines_by_gpu

log = logging.getLogger(__name__)

INTERVAL_S = 2.0
"""Seconds between two readings. One takes some milliseconds."""
STALE_S = 15.0
"""Age in seconds from which a reading is not reported any more."""
REOPENING = Backoff(5.0, 300.0, factor=3)
"""Pauses after a failure of the driver, for example while it is updated."""


@dataclass(frozen=True, slots=True)
class _Readings:
    """The readings of all GPUs, by UUID, at a moment of the monotonic clock."""

    at: float
    driver: str
    gpus: Mapping[str, Gpu]
    values: Mapping[str, GpuReading | None]


class GpuMonitor:
    """The last reading of each GPU. `visible` is the CUDA_VISIBLE_DEVICES of each engine, or None where it is not set.

    Without engines, as for a ComfyUI that the worker did not start, it reports all GPUs of the machine.
    """

    def __init__(
        self,
        driver: GpuDriver,
        visible: Mapping[str, str | None],
        interval_s: float = INTERVAL_S,
        stale_s: float = STALE_S,
    ) -> None:
        self._driver = driver
        self._visible = visible
        self._interval_s = interval_s
        self._stale_s = stale_s
        self._readings: _Readings | None = None
        self._gpus: dict[str, Gpu] = {}
        """All GPUs that the driver has ever listed, by UUID."""
        self._throttled_s: dict[tuple[str, ThrottleReason], float] = {}
        """Seconds by UUID and reason."""
        self._failures = 0
        self._hangs = False
        self._stopped, self._attempted = threading.Event(), threading.Event()

    @contextmanager
    def running(self) -> Iterator[Self]:
        """Read the GPUs while the context lasts.

        Leaving the context does not wait for the thread, because a call of the driver may hang. As a daemon, the thread
        does not keep the process alive either.
        """
        threading.Thread(target=self._read_until_stopped, name="gpu-monitor", daemon=True).start()
        try:
            yield self
        finally:
            self._stopped.set()

    async def driver_version(self, timeout_s: float = 5.0) -> str:
        """Return the version of the driver, or an empty string on a machine without one.

        Waits for the first reading, but at most `timeout_s` seconds. After that the version counts as unknown.
        """
        await asyncio.to_thread(self._attempted.wait, timeout_s)
        return self.report().driver

    def report(self) -> GpuReport:
        """Return the state of the GPUs that the engines can use. Never waits for the driver.

        If the driver has not responded for `stale_s` seconds, the GPUs are reported without a reading.
        """
        readings = self._readings
        if readings is None:
            return NO_GPUS
        self._note_hang(time.monotonic() - readings.at > self._stale_s)
        engines = engines_by_gpu(self._visible, list(readings.gpus.values()))
        values = {} if self._hangs else readings.values
        states = (
            GpuState(gpu, engines.get(uuid, ""), values.get(uuid), self._throttled_seconds(uuid))
            for uuid, gpu in readings.gpus.items()
            if uuid in engines or not self._visible
        )
        return GpuReport(readings.driver, tuple(states))

    def _note_hang(self, hangs: bool) -> None:
        """Log when the driver stops responding and when it responds again."""
        if hangs and not self._hangs:
            log.warning("NVIDIA's driver has not reported on the GPUs for %g s", self._stale_s)
        elif self._hangs and not hangs:
            log.info("NVIDIA's driver reports on the GPUs again")
        self._hangs = hangs

    def _throttled_seconds(self, uuid: str) -> dict[ThrottleReason, float]:
        """Return the seconds for which a GPU was throttled, for each reason."""
        return {reason: self._throttled_s.get((uuid, reason), 0.0) for reason in ThrottleReason}

    def _read_until_stopped(self) -> None:
        """Read the GPUs until `running` is left, or return at once on a machine without a driver."""
        while not self._stopped.is_set():
            try:
                self._read_while_it_works()
            except NoDriver as error:
                if not self._gpus:
                    log.debug("there are no facts about GPUs: %s", error)
                    return
                self._log_failure(error)
            except Exception as error:  # noqa: BLE001 - the bindings may not understand what a new driver returns
                self._log_failure(error)
            finally:
                self._driver.close()
                self._attempted.set()
            self._stopped.wait(REOPENING.pause(self._failures))

    def _read_while_it_works(self) -> None:
        """Connect to the driver, and read the GPUs until `running` is left.

        Raises NoDriver and DriverFailed, the latter also when no GPU can be read.
        """
        version = self._driver.open()
        self._gpus |= {gpu.uuid: gpu for gpu in self._driver.list_gpus()}
        if not self._gpus:
            raise NoDriver("the driver lists no GPU")
        read_at = time.monotonic()
        while not self._stopped.is_set():
            values = {uuid: self._driver.read(gpu) for uuid, gpu in self._gpus.items()}
            now = time.monotonic()
            self._add_throttled(values, min(now - read_at, self._stale_s))
            self._readings = _Readings(now, version, dict(self._gpus), values)
            self._attempted.set()
            if not any(values.values()):
                raise DriverFailed("it can read none of them")
            read_at, self._failures = now, 0
            self._stopped.wait(self._interval_s)

    def _add_throttled(self, values: Mapping[str, GpuReading | None], seconds: float) -> None:
        """Add the time since the last reading to the reasons for which the GPUs are throttled now."""
        for uuid, reading in values.items():
            for reason in reading.throttled if reading is not None else ():
                self._throttled_s[uuid, reason] = self._throttled_s.get((uuid, reason), 0.0) + seconds

    def _log_failure(self, error: Exception) -> None:
        """Log the first of several failures in a row."""
        self._failures += 1
        if self._failures == 1:
            log.warning("NVIDIA's driver does not report on the GPUs: %s", error)
