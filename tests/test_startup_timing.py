"""Where the time of a start went."""

from __future__ import annotations

import os
import time

from worker.startup_timing import StartupTiming, now, process_started_at


def test_stages_follow_each_other_from_the_containers_start() -> None:
    """Together they are the whole; what process 1 did before this one was there is one of them."""
    timing = StartupTiming(first=100.0, own=100.25)
    timing.mark("python", 100.75)
    timing.mark("engine", 112.75)
    timing.mark("engine", 200.0)
    assert timing.seconds == {"before": 0.25, "python": 0.5, "engine": 12.0}
    assert str(timing) == "12.8 s after the container's start: before 0.2, python 0.5, engine 12.0"


def test_a_machine_that_is_older_does_not_count() -> None:
    """On a plain host the first process is the machine's."""
    timing = StartupTiming(first=0.0, own=86400.0)
    timing.mark("python", 86400.5)
    assert str(timing) == "0.5 s after the process's start: python 0.5"


def test_a_process_knows_when_it_began() -> None:
    """On the clock that the stages are measured by, which is the machine's."""
    age = now() - process_started_at("self")
    assert 0 <= age < 3600
    time.sleep(0.05)
    assert now() - process_started_at(str(os.getpid())) > age
