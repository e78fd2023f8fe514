"""A node pack without nodes: a prompt that only wants its verdict is judged by ComfyUI as any other, and not queued."""

from __future__ import annotations

from typing import Any

import execution

NODE_CLASS_MAPPINGS: dict[str, type] = {}
MARK = "comfy_worker_verdict_only"
"""The key in `extra_data` of such a prompt."""
EXTRA_DATA = 3


def _leave_out_marked() -> None:
    put = execution.PromptQueue.put

    def put_unless_marked(queue: Any, item: Any) -> None:  # noqa: ANN401 - as ComfyUI has them
        if not item[EXTRA_DATA].get(MARK):
            put(queue, item)

    execution.PromptQueue.put = put_unless_marked


_leave_out_marked()
