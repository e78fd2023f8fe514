"""The time of each engine is busy, idle or neither."""

from __future__ import annotations

from worker.events import EngineConnected, EngineLost, JobFinished, JobSubmitted, LossCause, Observers, RunEnded
from worker.events import StateChanged as Changed
from worker.job import JobRef, JobState
from worker.observers.engine_use import EngineUse, EngineUses


def ref(name: str) -> JobRef:
    return JobRef(name, "alice", f"job-{name}")


def started(name: str) -> Changed:
    return Changed(ref(name), JobState.GENERATING, JobState.WAITING, 1.0)


def use_after(*moments: tuple[float, object]) -> dict[str, tuple[float, float]]:
    """Return busy and idle seconds of each engine, after events at these times. The last moment has no event."""
    times = iter([moment for moment, _ in moments])
    now = 0.0
    uses = EngineUses(lambda: now)
    observers = Observers([uses])
    for _, event in moments:
        now = next(times)
        observers.notify(event)  # type: ignore[arg-type]
    return {use.engine: (use.busy_s, use.idle_s) for use in uses.times()}


def test_an_engine_is_busy_while_a_job_runs() -> None:
    """Between runs it is idle, also while a job waits in its queue."""
    assert use_after(
        (10.0, EngineConnected("engine-0")),
        (12.0, JobSubmitted(ref("a"), "engine-0", "p")),
        (13.0, started("a")),
        (15.0, JobSubmitted(ref("b"), "engine-0", "q")),
        (20.0, RunEnded(ref("a"))),
        (20.5, started("b")),
        (21.0, JobFinished(ref("a"), JobState.COMPLETED, 8.0)),
        (25.5, RunEnded(ref("b"))),
        (30.0, None),
    ) == {"engine-0": (7.0 + 5.0, 3.0 + 0.5 + 4.5)}


def test_runs_that_overlap_count_once() -> None:
    """The start of a run may be observed before the end of the previous one."""
    assert use_after(
        (0.0, EngineConnected("engine-0")),
        (0.0, JobSubmitted(ref("a"), "engine-0", "p")),
        (0.0, JobSubmitted(ref("b"), "engine-0", "q")),
        (0.0, started("a")),
        (10.0, started("b")),
        (11.0, RunEnded(ref("a"))),
        (15.0, RunEnded(ref("b"))),
        (15.0, None),
    ) == {"engine-0": (15.0, 0.0)}


def test_an_engine_that_is_away_is_neither() -> None:
    """The time without a connection does not count, and a run that was lost ends when its job is sent elsewhere."""
    assert use_after(
        (0.0, EngineConnected("engine-0")),
        (0.0, EngineConnected("engine-1")),
        (0.0, JobSubmitted(ref("a"), "engine-0", "p")),
        (0.0, started("a")),
        (4.0, EngineLost("engine-0", LossCause.ENDED)),
        (6.0, JobSubmitted(ref("a"), "engine-1", "q")),
        (6.0, started("a")),
        (9.0, EngineConnected("engine-0")),
        (10.0, None),
    ) == {"engine-0": (4.0, 1.0), "engine-1": (4.0, 6.0)}


def test_nothing_is_known_before_an_engine_is_connected() -> None:
    """A worker without engines has no times."""
    assert EngineUses().times() == ()
    assert EngineUse("engine-0", 1.0, 2.0).busy_s == 1.0
