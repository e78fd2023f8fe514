"""Tests of the startup timing."""

from __future__ import annotations

import os
import time

from worker.startup_timing import StartupTiming, now, process_started_at


def test_stages_follow_each_other_from_the_containers_start() -> None:
    """The stages add up to the time since process 1 was started."""
    timing = StartupTiming(container_start=100.0, own_start=100.25)
    timing.mark("python", 100.75)
    timing.mark("engine", 112.75)
    timing.mark("engine", 200.0)
    assert timing.seconds == {"before": 0.25, "python": 0.5, "engine": 12.0}
    assert str(timing) == "12.8 s after the container's start: before 0.2, python 0.5, engine 12.0"


def test_a_machine_that_is_older_does_not_count() -> None:
    """The timing starts with this process when process 1 is much older."""
    timing = StartupTiming(container_start=0.0, own_start=86400.0)
    timing.mark("python", 86400.5)
    assert str(timing) == "0.5 s after the process's start: python 0.5"


def test_a_process_knows_when_it_began() -> None:
    """`process_started_at` uses the clock of `now`."""
    age = now() - process_started_at("self")
    assert 0 <= age < 3600
    time.sleep(0.05)
    assert now() - process_started_at(str(os.getpid())) > age
