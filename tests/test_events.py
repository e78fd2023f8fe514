"""Observers hear everything and can harm nothing."""

from __future__ import annotations

import logging

import pytest

from worker.events import Event, JobAccepted, JobFinished, Observers
from worker.job import Job, JobRequest


class Recorder:
    def __init__(self) -> None:
        self.heard: list[Event] = []

    def notify(self, event: Event) -> None:
        self.heard.append(event)


class Broken:
    def notify(self, event: Event) -> None:
        raise RuntimeError("a listener's bug")


def test_a_failing_observer_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """An observer that raises neither stops the others nor reaches the job."""
    recorder = Recorder()
    job = Job("a", JobRequest(prompt={}))
    with caplog.at_level(logging.ERROR):
        Observers([Broken(), recorder]).notify(JobAccepted(job))
    assert recorder.heard == [JobAccepted(job)]
    assert "a listener's bug" in caplog.text


def test_observers_can_be_added_later() -> None:
    """A platform adds its own."""
    recorder = Recorder()
    observers = Observers()
    observers.add(recorder)
    observers.notify(JobFinished(Job("a", JobRequest(prompt={}))))
    assert len(recorder.heard) == 1
