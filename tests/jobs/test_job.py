"""Tests of a job's states and times."""

from __future__ import annotations

import pytest

from worker.job import ENDS, NEXT, Job, JobRequest, JobState


def job() -> Job:
    return Job("a", JobRequest(prompt={}))


def test_the_way_to_completion_is_allowed() -> None:
    """`advance` accepts each step of the flow."""
    found = job()
    for state in (JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING, JobState.COMPLETED):
        found.advance(state)
    assert found.state.ended


@pytest.mark.parametrize("end", sorted(ENDS))
def test_nothing_follows_an_end(end: JobState) -> None:
    """`advance` raises ValueError after an end state."""
    found = job()
    found.advance(end)
    for state in JobState:
        with pytest.raises(ValueError, match="cannot become"):
            found.advance(state)


def test_every_state_has_its_next_ones() -> None:
    """NEXT has every state, and all but the ends can fail or be cancelled."""
    assert set(NEXT) == set(JobState)
    for state in set(JobState) - ENDS:
        assert {JobState.FAILED, JobState.CANCELLED} <= NEXT[state]


def test_stages_add_up_to_the_whole() -> None:
    """`elapsed_s` is the sum of the stages, and stops at the end."""
    found = job()
    found.advance(JobState.PREPARING)
    found.advance(JobState.FAILED)
    assert found.elapsed_s == pytest.approx(sum(found.stages.values()))
    assert found.elapsed_s == found.elapsed_s


def test_tokens_and_folders_are_never_the_same() -> None:
    """Two jobs with one id have different tokens and folders."""
    assert len({job().token for _ in range(50)} | {job().folder for _ in range(50)}) == 100
