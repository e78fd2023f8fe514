"""A job's states follow one guard, and its times add up."""

from __future__ import annotations

import pytest

from worker.job import ENDS, NEXT, Job, JobRequest, JobState


def job() -> Job:
    return Job("a", JobRequest(prompt={}))


def test_the_way_to_completion_is_allowed() -> None:
    """Each step of the flow leads to the next."""
    found = job()
    for state in (JobState.PREPARING, JobState.WAITING, JobState.GENERATING, JobState.DELIVERING, JobState.COMPLETED):
        found.advance(state)
    assert found.state.ended


@pytest.mark.parametrize("end", sorted(ENDS))
def test_nothing_follows_an_end(end: JobState) -> None:
    """An ended job can't be revived, whoever tries."""
    found = job()
    found.advance(end)
    for state in JobState:
        with pytest.raises(ValueError, match="cannot become"):
            found.advance(state)


def test_every_state_has_its_next_ones() -> None:
    """A new state has to be put into the table; every one but the ends can fail or be cancelled."""
    assert set(NEXT) == set(JobState)
    for state in set(JobState) - ENDS:
        assert {JobState.FAILED, JobState.CANCELLED} <= NEXT[state]


def test_stages_add_up_to_the_whole() -> None:
    """The time of a job is the sum of its stages, and stands still after its end."""
    found = job()
    found.advance(JobState.PREPARING)
    found.advance(JobState.FAILED)
    assert found.elapsed_s == pytest.approx(sum(found.stages.values()))
    assert found.elapsed_s == found.elapsed_s


def test_tokens_and_folders_are_never_the_same() -> None:
    """Two jobs under one id share neither token nor folder."""
    assert len({job().token for _ in range(50)} | {job().folder for _ in range(50)}) == 100
