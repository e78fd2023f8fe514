"""The last events of each job, in memory, so that a stream can be followed live and resumed where it broke."""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import get_args

from worker.events import Handlers, JobFinished, JobRemoved, PreviewReady, StreamedEvent
from worker.job import Job

KEPT = 2000
"""Events of one job; a run of more steps than this can be resumed only from its later part."""


@dataclass(slots=True)
class Track:
    """One job's events with their numbers, counted from 1."""

    events: deque[tuple[int, StreamedEvent]] = field(default_factory=lambda: deque(maxlen=KEPT))
    count: int = 0
    preview: tuple[int, PreviewReady] | None = None
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def since(self, number: int) -> list[tuple[int, StreamedEvent]]:
        """What came after `number`; of previews only the newest, which is all that is worth seeing."""
        found = [(count, event) for count, event in self.events if count > number]
        if self.preview and self.preview[0] > number:
            found.append(self.preview)
            found.sort(key=lambda numbered: numbered[0])
        return found


class Replay:
    """An observer; what it keeps of a job lives as long as the job's results."""

    def __init__(self) -> None:
        self._tracks: defaultdict[str, Track] = defaultdict(Track)

    @property
    def handlers(self) -> Handlers:
        return {**dict.fromkeys(get_args(StreamedEvent), self._record), JobRemoved: self._forget}

    def _forget(self, event: JobRemoved) -> None:
        self._tracks.pop(event.job.folder, None)

    def _record(self, event: StreamedEvent) -> None:
        track = self._tracks[event.job.folder]
        track.count += 1
        if isinstance(event, PreviewReady):
            track.preview = (track.count, event)
        else:
            track.events.append((track.count, event))
        track.changed.set()  # wakes those that wait now, and nobody later
        track.changed.clear()

    async def follow(self, job: Job, after: int = 0) -> AsyncIterator[tuple[int, StreamedEvent]]:
        """Every event numbered above `after`, then the new ones as they come, up to and including JobFinished.

        Of a job from before a restart of this worker only what came since is known; numbers began anew.
        """
        track = self._tracks[job.folder]
        after = after if after <= track.count else 0
        while True:
            seen = track.count
            for number, event in track.since(after):
                after = number
                yield number, event
                if isinstance(event, JobFinished):
                    return
            if job.state.ended and not track.since(after):
                yield after + 1, JobFinished.of(job)
                return
            if track.count == seen:
                await track.changed.wait()
