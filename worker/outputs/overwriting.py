"""Whether a later job may overwrite an output file, so that a hard link to it would change. No I/O."""

from __future__ import annotations

import re

from worker.job import Job
from worker.workflow.rerun import PREFIX

COUNTED = re.compile(r"[^_./\\]_+([0-9]{4,})(_|-audio)?\.[A-Za-z0-9]+$")
"""A name that ends with a counter, as the save nodes of ComfyUI and most packs write them."""


def may_be_overwritten(job: Job, node_id: str, filename: str) -> bool:
    """Return True if the save node may give a later file the same name.

    ComfyUI's save nodes continue from the highest number in the folder. If the prefix is empty or ends with a slash,
    they start at 1 each time and overwrite the earlier file (measured on ComfyUI 0.33.0).
    """
    counted = COUNTED.search(filename)
    if counted is None:
        return True
    node = job.request.prompt.get(node_id)
    prefix = node["inputs"].get(PREFIX) if node else None
    if not isinstance(prefix, str):
        return int(counted[1]) <= 1  # the prefix is not known, and the number may start at 1 each time
    last_part = prefix.replace("\\", "/").rpartition("/")[2].strip()
    return not last_part or "%" in last_part  # a placeholder such as %date% may become an empty text
