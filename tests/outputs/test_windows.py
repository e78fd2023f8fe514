"""Attribution of files to prompts by time."""

from __future__ import annotations

import pytest

from worker.outputs.windows import CLOCK_TICK_MS, Window, window_of

TICK = CLOCK_TICK_MS


def test_a_file_belongs_to_the_prompt_that_ran() -> None:
    """owner returns the prompt that ran at the file's time."""
    first, second = Window(1000, end=2000), Window(2001, end=3000)
    assert window_of(1500, [first, second]) is first
    assert window_of(2500, [first, second]) is second


@pytest.mark.parametrize("changed_ms", [500, 3500])
def test_a_file_outside_of_every_prompt_has_no_owner(changed_ms: float) -> None:
    """owner returns None for a file outside of every prompt's time."""
    assert window_of(changed_ms, [Window(1000, end=2000), Window(2001, end=3000)]) is None


@pytest.mark.parametrize("changed_ms", [2000, 2000 - TICK, 2001 - TICK / 2, 2001])
def test_a_file_in_the_last_tick_has_no_owner(changed_ms: float) -> None:
    """owner returns None for a file within a clock tick of the end, because the next prompt may have written it."""
    assert window_of(changed_ms, [Window(1000, end=2000), Window(2001, end=3000)]) is None
    assert window_of(changed_ms, [Window(1000, end=2000)]) is None


@pytest.mark.parametrize("changed_ms", [1000 - TICK, 1000, 2000, 2000.9])
def test_an_isolated_prompt_has_its_complete_time(changed_ms: float) -> None:
    """owner returns an isolated prompt for its complete time, although ComfyUI rounds times down."""
    isolated = Window(1000, isolated=True, end=2000)
    assert window_of(changed_ms, [isolated]) is isolated


def test_a_file_in_two_prompts_has_no_owner() -> None:
    """owner returns None for a file in the time of two prompts."""
    assert window_of(1500, [Window(1000, end=2000), Window(1400, end=3000)]) is None


def test_a_prompt_that_runs_has_no_end_yet() -> None:
    """owner returns a running prompt for a new file."""
    running = Window(1000)
    assert window_of(9e12, [running]) is running


def test_a_prompt_is_over_for_later_files() -> None:
    """ended_before returns False for a running prompt, and True for files after the end."""
    for window in (Window(1000, end=2000), Window(1000, isolated=True, end=2000)):
        assert window.ended_before(2002)
        assert not window.ended_before(2000 - TICK - 1)
    assert not Window(1000).ended_before(9e12)
