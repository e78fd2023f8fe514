"""Observers receive events and cannot affect jobs."""

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
"""Handlers by the class of the event."""


def ignore_event(event: Event) -> None:
    """Do nothing. The default for components without observers."""


class Observer(Protocol):
    """Receives the events for which it has handlers, in order, on the event loop. Handlers must not block."""

    @property
    def handlers(self) -> Handlers:
        """Handlers of this observer, by event class."""


class Observers:
    """Passes each event to the handlers for its class. An exception in a handler is logged and never affects a job."""

    def __init__(self, observers: Sequence[Observer] = ()) -> None:
        self._handlers: dict[type[Any], list[Callable[[Any], None]]] = {}
        self.add(*observers)

    def add(self, *observers: Observer) -> None:
        """Add observers. They get each event in the order in which they were added."""
        for observer in observers:
            for event_class, handler in observer.handlers.items():
                self._handlers.setdefault(event_class, []).append(handler)

    def notify(self, event: Event) -> None:
        """Call all handlers for an event."""
        for handler in self._handlers.get(type(event), ()):
            try:
                handler(event)
            except Exception:  # a bug in an observer must not affect the job
                log.exception("observer %r failed on %s", handler, type(event).__name__)
