"""The prompts that wait and the one that runs: ComfyUI's priority queue, with the ways it breaks."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt


class QueuedPrompt(NamedTuple):
    """One submission. The order of the fields is the order of the queue: number, then id.

    Two items with the same number and id are compared by their prompts, which can't be: `push` or a later `pop`
    then raises TypeError, as in ComfyUI (recordings 19 and 19b).
    """

    number: float
    prompt_id: str
    prompt: Prompt
    extra_data: JsonObject
    outputs: list[str]
    secrets: JsonObject

    def as_json(self) -> list[object]:
        """The five elements that /queue and /history show."""
        return list(self[:5])


@dataclass(slots=True)
class FreeRequest:
    """What POST /free asked for; it is done between two jobs."""

    free_memory: bool = False
    unload_models: bool = False


class PromptQueue:
    """Thread-safe; `on_change` is called, under the lock, whenever the number of unfinished prompts may differ."""

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._pending: list[QueuedPrompt] = []
        self._running: QueuedPrompt | None = None
        self._free = FreeRequest()
        self._closed = False
        self._on_change = on_change

    def push(self, item: QueuedPrompt) -> None:
        with self._lock:
            heapq.heappush(self._pending, item)
            self._on_change()
            self._wake.notify()

    def pop(self) -> QueuedPrompt | None:
        """Wait for the next prompt and make it the running one; None when there is only a `FreeRequest` or the end."""
        with self._lock:
            self._wake.wait_for(lambda: self._pending or self._closed or self._free != FreeRequest())
            if self._closed or not self._pending:
                return None
            item = heapq.heappop(self._pending)
            self._running = item
            self._on_change()
            return item

    def finish(self, store: Callable[[], None]) -> None:
        """End the running prompt; `store` keeps its result before anybody is told."""
        with self._lock:
            self._running = None
            store()
            self._on_change()

    def remaining(self) -> int:
        """Pending and running prompts."""
        with self._lock:
            return len(self._pending) + (self._running is not None)

    def snapshot(self) -> tuple[list[QueuedPrompt], list[QueuedPrompt]]:
        """(running, pending); pending is the heap's array, which is not sorted."""
        with self._lock:
            return ([] if self._running is None else [self._running]), list(self._pending)

    def clear(self) -> None:
        with self._lock:
            self._pending = []
            self._on_change()

    def delete(self, prompt_id: str) -> bool:
        """Remove one pending prompt with this id. For the last pending one `on_change` is called twice."""
        with self._lock:
            for index, item in enumerate(self._pending):
                if item.prompt_id == prompt_id:
                    self._remove(index)
                    return True
            return False

    def if_running(self, prompt_id: str, action: Callable[[], None]) -> bool:
        """Do `action` if this prompt is running, so that it can't hit the next one. Tells whether it was."""
        with self._lock:
            hit = self._running is not None and self._running.prompt_id == prompt_id
            if hit:
                action()
            return hit

    def request_free(self, *, unload_models: bool, free_memory: bool) -> None:
        with self._lock:
            self._free.unload_models |= unload_models
            self._free.free_memory |= free_memory
            self._wake.notify()

    def take_free_request(self) -> FreeRequest:
        with self._lock:
            request, self._free = self._free, FreeRequest()
            return request

    def close(self) -> None:
        """Let `pop` return None from now on."""
        with self._lock:
            self._closed = True
            self._wake.notify_all()

    @property
    def closed(self) -> bool:
        return self._closed

    def _remove(self, index: int) -> None:
        if len(self._pending) == 1:
            self.clear()
        else:
            self._pending.pop(index)
            heapq.heapify(self._pending)
        self._on_change()
