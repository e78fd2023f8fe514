"""The monitor notices slow engines by the nodes that ran, and ends the worker once on a machine that is retired."""

from __future__ import annotations

import asyncio
import json
import logging
from dataclasses import dataclass
from pathlib import Path

import pytest

from worker.errors import WorkerFailed
from worker.events import NodeRan, Observers
from worker.gpus.facts import Gpu, GpuReading, GpuReport, GpuState, ThrottleReason
from worker.gpus.machine_health import EngineSpeed, HealthLimits, retirement_delay
from worker.gpus.machine_monitor import RECORD, MachineMonitor
from worker.job import JobRef
from worker.load.node_work import NodeKind

RETIRED = next(f"GPU-{number}" for number in range(100) if retirement_delay([f"GPU-{number}"], 1.0) is not None)
KEPT = next(f"GPU-{number}" for number in range(100) if retirement_delay([f"GPU-{number}"], 1.0) is None)
HOT = GpuReading(temperature_celsius=91.0, clock_hertz=1.2e9, throttled=frozenset({ThrottleReason.THERMAL}))
LIMITS = HealthLimits(slow_after_s=0.0, min_perf=0.5)
SLOW = EngineSpeed(3.0, 100.0)


def ran(kind: NodeKind = NodeKind.SAMPLER, *, cold: bool = False, completed: bool = True) -> NodeRan:
    """Return the event of a node that ran."""
    job = JobRef("a", "alice", "job-a")
    return NodeRan(job, "engine-0", "3", "KSampler", kind, "sdxl", 4.0, 2.0, 2.5, cold=cold, completed=completed)


@dataclass
class KnownGpus:
    """A report about GPUs that does not change."""

    known: GpuReport

    def report(self) -> GpuReport:
        return self.known


@dataclass
class Machine:
    """A monitor whose engine has a given speed, and what it does."""

    state: Path
    uuid: str = RETIRED
    limits: HealthLimits = LIMITS
    speed: EngineSpeed = SLOW
    drained_s: float = 0.0

    def __post_init__(self) -> None:
        report = GpuReport("550.54", (GpuState(Gpu(0, self.uuid, "NVIDIA L4"), "engine-0", HOT),))
        self.monitor = MachineMonitor(
            *(self.limits, ["engine-0"], lambda _: self.speed, KnownGpus(report), self.state),
            drain_s=7.0,
        )
        self.observers = Observers([self.monitor])

    def run(self, nodes: int, **node: object) -> None:
        for _ in range(nodes):
            self.observers.notify(ran(**node))  # type: ignore[arg-type]

    async def drain(self, seconds: float) -> None:
        self.drained_s += seconds

    async def ends(self, within_s: float = 0.3) -> str | None:
        """Return why the worker ends, or None if it goes on."""
        try:
            async with asyncio.timeout(within_s):
                await self.monitor.end_worker_when_retired(self.drain)
        except WorkerFailed as error:
            return str(error)
        except TimeoutError:
            pass
        return None


def test_a_slow_engine_is_logged_with_what_may_explain_it(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A slow engine is logged once with the state of its GPU, and logged when it recovers."""
    caplog.set_level(logging.INFO, "worker")
    machine = Machine(tmp_path, limits=HealthLimits(slow_after_s=0.0))
    machine.run(30)
    assert machine.monitor.slow_engines == machine.monitor.slowdowns == {"engine-0": 3.0}
    machine.speed = EngineSpeed(1.0, 100.0)
    machine.run(30)
    assert machine.monitor.slow_engines == {}
    slow, fast = (record.message for record in caplog.records)
    assert slow.startswith("engine-0 needs 3.0 times as long as is known for its GPU model; GPU 0 (NVIDIA L4): 91 °C")
    assert slow.endswith("1200 MHz, throttled by thermal")
    assert fast == "engine-0 is as fast again as its GPU model should be"


def test_only_nodes_that_show_the_speed_count(tmp_path: Path) -> None:
    """Nodes that load models, that were stopped or that do not use the GPU show nothing about it."""
    machine = Machine(tmp_path)
    machine.run(100, cold=True)
    machine.run(100, completed=False)
    for kind in (NodeKind.LOAD, NodeKind.SAVE, NodeKind.API, NodeKind.OTHER):
        machine.run(100, kind=kind)
    assert machine.monitor.slowdowns == {}


async def test_a_machine_is_retired_once_in_the_life_of_its_state_folder(tmp_path: Path) -> None:
    """The worker drains and ends with a sentence. A worker that is started again with the same folder goes on."""
    machine = Machine(tmp_path)
    machine.run(30)
    reason = await machine.ends(within_s=10.0)
    assert reason == "this machine has 33% of the speed that is known for its GPU model, and WORKER_MIN_PERF is 0.5"
    assert machine.drained_s == 7.0
    assert json.loads((tmp_path / RECORD).read_text("utf-8"))["reason"] == reason
    again = Machine(tmp_path)
    again.run(300)
    assert await again.ends() is None


async def test_two_workers_cannot_both_record_it(tmp_path: Path) -> None:
    """A record that appears in the meantime keeps the worker running."""
    machine = Machine(tmp_path)
    machine.run(30)
    (tmp_path / RECORD).write_text("{}")
    assert await machine.ends() is None
    assert machine.drained_s == 0.0


async def test_a_machine_that_was_not_chosen_goes_on(tmp_path: Path) -> None:
    """Half of all machines are never retired."""
    machine = Machine(tmp_path, uuid=KEPT)
    machine.run(300)
    assert await machine.ends() is None


async def test_without_a_record_the_worker_goes_on(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """If the state folder cannot be written, a restart could end the worker again, so it is not retired."""
    machine = Machine(tmp_path / "missing")
    machine.run(30)
    assert await machine.ends() is None
    assert "goes on" in caplog.text


async def test_it_is_off_by_default(tmp_path: Path) -> None:
    """Without WORKER_MIN_PERF, the slowest machine goes on."""
    machine = Machine(tmp_path, limits=HealthLimits(slow_after_s=0.0), speed=EngineSpeed(50.0, 1000.0))
    machine.run(300)
    assert await machine.ends() is None
