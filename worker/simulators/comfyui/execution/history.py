"""The history of finished prompts: in memory, oldest first, with the same maximum as ComfyUI's."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import islice

from worker.simulators.comfyui.execution.queue import QueuedPrompt

MAX_ENTRIES = 10_000

Message = tuple[str, dict[str, object]]
"""(event, data): one lifecycle event of a prompt, as it was sent."""


@dataclass(slots=True)
class PromptOutcome:
    """The outcome of one prompt. `outputs` and `meta` are by node id, in the order in which the nodes reported."""

    messages: list[Message] = field(default_factory=list)
    outputs: dict[str, dict[str, object]] = field(default_factory=dict)
    meta: dict[str, dict[str, object]] = field(default_factory=dict)
    completed: bool = True


@dataclass(frozen=True, slots=True)
class FinishedPrompt:
    """A finished prompt and its outcome."""

    item: QueuedPrompt
    outcome: PromptOutcome

    def as_json(self) -> dict[str, object]:
        """Return the entry in the form of GET /history/{id}."""
        return {
            "prompt": self.item.as_json(),
            "outputs": self.outcome.outputs,
            "status": {
                "status_str": "success" if self.outcome.completed else "error",
                "completed": self.outcome.completed,
                "messages": self.outcome.messages,
            },
            "meta": self.outcome.meta,
        }


class History:
    """Entries by prompt id. A repeated id replaces its entry, which keeps its position."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._entries: dict[str, FinishedPrompt] = {}

    def store(self, item: QueuedPrompt, outcome: PromptOutcome) -> None:
        """Add an entry. The oldest one is removed when there are more than `MAX_ENTRIES`."""
        with self._lock:
            if len(self._entries) > MAX_ENTRIES:
                self._entries.pop(next(iter(self._entries)))
            self._entries[item.prompt_id] = FinishedPrompt(item, outcome)

    def get(self, prompt_id: str) -> FinishedPrompt | None:
        """Return the entry of a prompt, or None."""
        with self._lock:
            return self._entries.get(prompt_id)

    def window(self, max_items: int | None = None, offset: int = -1) -> dict[str, FinishedPrompt]:
        """Return some of the entries, oldest first.

        `max_items` alone selects the newest entries. An `offset` of 0 or more counts from the oldest entry. A
        `max_items` of 0 or less selects none.
        """
        with self._lock:
            if offset < 0 and max_items is not None:
                offset = max(0, len(self._entries) - max_items)
            start = max(0, offset)
            stop = None if max_items is None else start + max(0, max_items)
            return dict(islice(self._entries.items(), start, stop))

    def delete(self, prompt_ids: Sequence[str]) -> None:
        """Remove the entries of these prompts. Unknown ids are ignored."""
        with self._lock:
            for prompt_id in prompt_ids:
                self._entries.pop(prompt_id, None)

    def clear(self) -> None:
        """Remove all entries."""
        with self._lock:
            self._entries.clear()
