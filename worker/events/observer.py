"""Observers: whatever listens to events and can harm nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from worker.events.job import JobEvent
from worker.events.worker import WorkerEvent

log = logging.getLogger(__name__)

Event = JobEvent | WorkerEvent
Notify = Callable[[Event], None]


def unobserved(event: Event) -> None:
    """For a part that is used without observers."""


class Observer(Protocol):
    """Gets every event, in order, on the event loop; must not block."""

    def notify(self, event: Event) -> None: ...


class Observers:
    """Passes events on. An observer that fails is logged and never fails a job."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._observers = list(observers)
        self._only: dict[int, tuple[type[Event], ...]] = {}

    def add(self, *observers: Observer, only: tuple[type[Event], ...] = ()) -> None:
        """Add observers. With `only` they get events of these classes and no others."""
        self._observers.extend(observers)
        self._only.update(dict.fromkeys(map(id, observers), only))

    def notify(self, event: Event) -> None:
        for observer in self._observers:
            only = self._only.get(id(observer))
            if only and not isinstance(event, only):
                continue
            try:
                observer.notify(event)
            except Exception:  # an observer's bug must not reach the job
                log.exception("observer %r failed on %s", observer, type(event).__name__)
