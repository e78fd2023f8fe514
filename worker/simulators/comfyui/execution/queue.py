"""The pending prompts and the running one: ComfyUI's priority queue, including its faults."""

from __future__ import annotations

import heapq
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from worker.workflow.json_value import JsonObject
from worker.workflow.prompt import Prompt


class QueuedPrompt(NamedTuple):
    """One submission. The queue is ordered by the fields in this order: number first, then id.

    For two items with the same number and id, Python compares their prompts, which have no order. `push` or a later
    `pop` then raises TypeError, as in ComfyUI (recordings 19 and 19b).
    """

    number: float
    prompt_id: str
    prompt: Prompt
    extra_data: JsonObject
    outputs: list[str]
    secrets: JsonObject

    def as_json(self) -> list[object]:
        """Return the five elements that /queue and /history show. The secrets are left out."""
        return list(self[:5])


@dataclass(slots=True)
class FreeRequest:
    """A request of POST /free. It is carried out between two prompts."""

    free_memory: bool = False
    unload_models: bool = False


class PromptQueue:
    """The queue of prompts. Its methods may be called from any thread.

    `on_change` is called, with the lock held, whenever the number of unfinished prompts may have changed.
    """

    def __init__(self, on_change: Callable[[], None]) -> None:
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._pending: list[QueuedPrompt] = []
        self._running: QueuedPrompt | None = None
        self._free = FreeRequest()
        self._closed = False
        self._on_change = on_change

    def push(self, item: QueuedPrompt) -> None:
        """Add a prompt. Raises TypeError when a queued prompt has the same number and id."""
        with self._lock:
            heapq.heappush(self._pending, item)
            self._on_change()
            self._wake.notify()

    def pop(self) -> QueuedPrompt | None:
        """Wait for the next prompt, and make it the running one.

        Return None for a `FreeRequest` without a prompt, or when the queue was closed. Raises TypeError when two queued
        prompts have the same number and id.
        """
        with self._lock:
            self._wake.wait_for(lambda: self._pending or self._closed or self._free != FreeRequest())
            if self._closed or not self._pending:
                return None
            item = heapq.heappop(self._pending)
            self._running = item
            self._on_change()
            return item

    def finish(self, store: Callable[[], None]) -> None:
        """End the running prompt. `store` is called before the change is reported, so that the history is complete."""
        with self._lock:
            self._running = None
            store()
            self._on_change()

    def remaining(self) -> int:
        """Return the number of pending and running prompts."""
        with self._lock:
            return len(self._pending) + (self._running is not None)

    def snapshot(self) -> tuple[list[QueuedPrompt], list[QueuedPrompt]]:
        """Return the running and the pending prompts. The pending ones are in the order of the heap, not sorted."""
        with self._lock:
            return ([] if self._running is None else [self._running]), list(self._pending)

    def clear(self) -> None:
        """Remove all pending prompts."""
        with self._lock:
            self._pending = []
            self._on_change()

    def delete(self, prompt_id: str) -> bool:
        """Remove one pending prompt with this id, and return whether there was one.

        `on_change` is called twice when it was the last pending one, as in ComfyUI.
        """
        with self._lock:
            for index, item in enumerate(self._pending):
                if item.prompt_id == prompt_id:
                    self._remove(index)
                    return True
            return False

    def if_running(self, prompt_id: str, action: Callable[[], None]) -> bool:
        """Call `action` if this prompt is running, and return whether it is.

        The lock is held, so that the action cannot affect the next prompt.
        """
        with self._lock:
            is_running = self._running is not None and self._running.prompt_id == prompt_id
            if is_running:
                action()
            return is_running

    def request_free(self, *, unload_models: bool, free_memory: bool) -> None:
        """Request that models are unloaded or memory is freed between two prompts, and wake `pop`.

        A request that is still pending stays in effect.
        """
        with self._lock:
            self._free.unload_models |= unload_models
            self._free.free_memory |= free_memory
            self._wake.notify()

    def take_free_request(self) -> FreeRequest:
        """Return the pending `FreeRequest`, and reset it."""
        with self._lock:
            request, self._free = self._free, FreeRequest()
            return request

    def close(self) -> None:
        """Close the queue: from now on, `pop` returns None."""
        with self._lock:
            self._closed = True
            self._wake.notify_all()

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def _remove(self, index: int) -> None:
        """Remove the pending prompt at an index of the heap, and call `on_change`."""
        # ComfyUI clears the queue when one prompt is left, so `on_change` is called twice then.
        if len(self._pending) == 1:
            self.clear()
        else:
            self._pending.pop(index)
            heapq.heapify(self._pending)
        self._on_change()
