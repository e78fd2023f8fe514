"""Whose a file is by its time: the prompt's that ran then, and nobody's where that can't be told."""

from __future__ import annotations

import pytest

from worker.outputs.windows import CLOCK_TICK_MS, Window, owner

TICK = CLOCK_TICK_MS


def test_a_file_is_the_prompts_that_ran_then() -> None:
    """One prompt at a time: the other's files are outside of its own."""
    first, second = Window(1000, end=2000), Window(2001, end=3000)
    assert owner(1500, [first, second]) is first
    assert owner(2500, [first, second]) is second


@pytest.mark.parametrize("changed_ms", [500, 3500])
def test_a_file_outside_every_prompt_is_nobodys(changed_ms: float) -> None:
    """Whatever wrote it, it was no node of a prompt that is known."""
    assert owner(changed_ms, [Window(1000, end=2000), Window(2001, end=3000)]) is None


@pytest.mark.parametrize("changed_ms", [2000, 2000 - TICK, 2001 - TICK / 2, 2001])
def test_the_tick_at_an_end_is_nobodys(changed_ms: float) -> None:
    """The clock of a file system is late by up to a tick, so that a neighbour may have written it."""
    assert owner(changed_ms, [Window(1000, end=2000), Window(2001, end=3000)]) is None
    assert owner(changed_ms, [Window(1000, end=2000)]) is None


@pytest.mark.parametrize("changed_ms", [1000 - TICK, 1000, 2000, 2000.9])
def test_a_prompt_that_ran_apart_has_its_whole_time(changed_ms: float) -> None:
    """Nothing else of this worker was near, and ComfyUI cuts its times down to milliseconds."""
    isolated = Window(1000, isolated=True, end=2000)
    assert owner(changed_ms, [isolated]) is isolated


def test_inside_two_is_nobodys() -> None:
    """Two windows that overlap say nothing of a file in both."""
    assert owner(1500, [Window(1000, end=2000), Window(1400, end=3000)]) is None


def test_a_prompt_that_runs_has_no_end_yet() -> None:
    """A file that is written now may be its own."""
    running = Window(1000)
    assert owner(9e12, [running]) is running


def test_a_prompt_is_over_for_later_files() -> None:
    """One that runs holds them all; only those that are over before a file need not be asked."""
    for window in (Window(1000, end=2000), Window(1000, isolated=True, end=2000)):
        assert window.ended_before(2002)
        assert not window.ended_before(2000 - TICK - 1)
    assert not Window(1000).ended_before(9e12)
