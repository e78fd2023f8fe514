"""Tests of events and observers."""

from __future__ import annotations

import dataclasses
import logging
import types
from collections.abc import Iterator
from enum import Enum
from typing import Union, get_args, get_origin, get_type_hints

import pytest

from tests.observers.recorder import EventRecorder
from worker.events import Event, Handlers, JobAccepted, JobFinished, JobRemoved, Observers
from worker.job import Job, JobRequest

PLAIN = (str, bytes, int, float, bool, types.NoneType)
EVENTS = get_args(Event)


class Broken:
    @property
    def handlers(self) -> Handlers:
        return {JobAccepted: self._fail}

    def _fail(self, event: JobAccepted) -> None:
        raise RuntimeError("an observer's bug")


class Ends:
    """An observer of one class of events."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @property
    def handlers(self) -> Handlers:
        return {JobFinished: self.events.append}


def live_parts(kind: object) -> Iterator[object]:
    """Return types in a field's type that are not immutable data."""
    if get_origin(kind) in {tuple, Union, types.UnionType}:
        for part in get_args(kind):
            if part is not Ellipsis:
                yield from live_parts(part)
    elif isinstance(kind, type) and dataclasses.is_dataclass(kind):
        if not kind.__dataclass_params__.frozen:  # type: ignore[attr-defined]
            yield kind
        for part in get_type_hints(kind).values():
            yield from live_parts(part)
    elif not (isinstance(kind, type) and (kind in PLAIN or issubclass(kind, Enum))):
        yield kind


@pytest.mark.parametrize("kind", EVENTS, ids=lambda kind: kind.__name__)
def test_an_event_is_a_frozen_fact(kind: type) -> None:
    """No event holds a job or another mutable object."""
    assert list(live_parts(kind)) == []


def test_live_objects_in_an_event_would_be_found() -> None:
    """`live_parts` finds a job and a mutable collection at any depth."""
    assert Job in live_parts(tuple[str, Job | None])
    assert list(live_parts(tuple[list[str], ...])) == [list[str]]


def test_a_failing_observer_is_logged_and_the_others_go_on(caplog: pytest.LogCaptureFixture) -> None:
    """An observer that raises is logged, and affects neither the others nor the job."""
    recorder = EventRecorder()
    event = JobAccepted(Job("a", JobRequest(prompt={})).ref, 1.0, "native", None)
    with caplog.at_level(logging.ERROR):
        Observers([Broken(), recorder]).notify(event)
    assert recorder.events == [event]
    assert "an observer's bug" in caplog.text


def test_observers_can_be_added_later() -> None:
    """`add` adds an observer to a running worker."""
    recorder = EventRecorder()
    observers = Observers()
    observers.add(recorder)
    observers.notify(JobFinished.of(Job("a", JobRequest(prompt={}))))
    assert len(recorder.events) == 1


def test_an_observer_gets_the_events_that_it_takes() -> None:
    """An observer gets only the events that it has a handler for."""
    ends, recorder, job = Ends(), EventRecorder(), Job("a", JobRequest(prompt={}))
    observers = Observers([ends, recorder])
    events: list[Event] = [JobAccepted(job.ref, 1.0, "native", None), JobFinished.of(job), JobRemoved(job.ref)]
    for event in events:
        observers.notify(event)
    assert (ends.events, recorder.events) == ([events[1]], events)
