"""A node pack without nodes that keeps marked prompts out of the queue, so that ComfyUI only validates them."""

from __future__ import annotations

from typing import Any

import execution

NODE_CLASS_MAPPINGS: dict[str, type] = {}
MARK = "comfy_worker_verdict_only"
"""The key in `extra_data` of a marked prompt."""
EXTRA_DATA = 3
"""Index of `extra_data` in ComfyUI's queue item."""


def _skip_marked_prompts() -> None:
    """Replace `PromptQueue.put` by one that ignores marked prompts."""
    put = execution.PromptQueue.put

    def put_unless_marked(queue: Any, item: Any) -> None:  # noqa: ANN401 - as ComfyUI has them
        if not item[EXTRA_DATA].get(MARK):
            put(queue, item)

    execution.PromptQueue.put = put_unless_marked


_skip_marked_prompts()
