"""The last events of each job, in memory, for event streams that start late or resume."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import get_args

from worker.events import Handlers, JobFinished, JobRemoved, PreviewReady, StreamedEvent
from worker.job import Job

EVENTS_PER_JOB = 2000
"""Events that are kept for one job. A longer run can be resumed only from a later event."""


@dataclass(slots=True)
class JobTrack:
    """Events of one job, numbered from 1. `preview` is the newest preview image, which is not in `events`."""

    events: deque[tuple[int, StreamedEvent]] = field(default_factory=lambda: deque(maxlen=EVENTS_PER_JOB))
    count: int = 0
    preview: tuple[int, PreviewReady] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def since(self, number: int) -> list[tuple[int, StreamedEvent]]:
        """Return the events after the one with this number, with their numbers. Only the newest preview is included."""
        numbered_events = [numbered for numbered in self.events if numbered[0] > number]
        if self.preview and self.preview[0] > number:
            numbered_events.append(self.preview)
            numbered_events.sort(key=lambda numbered: numbered[0])
        return numbered_events


class Replay:
    """An observer that records the events of each job until the results of the job are removed."""

    def __init__(self) -> None:
        self._tracks: defaultdict[str, JobTrack] = defaultdict(JobTrack)

    @property
    def handlers(self) -> Handlers:
        """Handlers of all events of a job."""
        return {**dict.fromkeys(get_args(StreamedEvent), self._record), JobRemoved: self._forget}

    def _forget(self, event: JobRemoved) -> None:
        """Remove the events of a job."""
        self._tracks.pop(event.job.folder, None)

    def _record(self, event: StreamedEvent) -> None:
        """Store an event, and wake the streams that wait for it."""
        track = self._tracks[event.job.folder]
        track.count += 1
        if isinstance(event, PreviewReady):
            track.preview = (track.count, event)
        else:
            track.events.append((track.count, event))
        track.changed.set()  # wakes the streams that wait now
        track.changed.clear()

    def is_newest(self, job: Job, number: int) -> bool:
        """Return whether the event of a job with this number is its last one so far, previews aside."""
        events = self._tracks[job.folder].events
        return not events or number >= events[-1][0]

    async def follow(self, job: Job, after: int = 0) -> AsyncIterator[tuple[int, StreamedEvent]]:
        """Yield every event with a number above `after`, then new ones as they occur. JobFinished is the last one.

        Each event comes with its number. After a restart of the worker only newer events are known, and numbers start
        at 1 again. A larger `after` then means all events.
        """
        track = self._tracks[job.folder]
        if after > track.count:
            after = 0
        while True:
            known_count = track.count
            for number, event in track.since(after):
                after = number
                yield number, event
                if isinstance(event, JobFinished):
                    return
            if job.state.ended and not track.since(after):  # for example, the job ended before a restart of the worker
                yield after + 1, JobFinished.of(job)
                return
            if track.count == known_count:
                await track.changed.wait()
