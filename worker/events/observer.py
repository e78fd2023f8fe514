"""Observers: whatever listens to events and can harm nothing."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from worker.events.job import JobEvent
from worker.events.worker import WorkerEvent

log = logging.getLogger(__name__)

Event = JobEvent | WorkerEvent
Notify = Callable[[Event], None]
Handlers = Mapping[type[Any], Callable[[Any], None]]
"""Handlers of events, by the class of the event."""


def ignore_event(event: Event) -> None:
    """For a part that is used without observers."""


class Observer(Protocol):
    """Gets the events of the classes that it has handlers for, in order, on the event loop; must not block."""

    @property
    def handlers(self) -> Handlers: ...


class Observers:
    """Passes each event to the handlers of its class. A handler that fails is logged and never fails a job."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._handlers: dict[type[Any], list[Callable[[Any], None]]] = {}
        self.add(*observers)

    def add(self, *observers: Observer) -> None:
        """Add observers. They get an event after those that were added before them."""
        for observer in observers:
            for event_class, handler in observer.handlers.items():
                self._handlers.setdefault(event_class, []).append(handler)

    def notify(self, event: Event) -> None:
        for handler in self._handlers.get(type(event), ()):
            try:
                handler(event)
            except Exception:  # an observer's bug must not reach the job
                log.exception("observer %r failed on %s", handler, type(event).__name__)
