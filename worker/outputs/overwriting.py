"""Whether a later job may write into the same file, so that a hard link to it would change. Pure."""

from __future__ import annotations

import re

from worker.job import Job
from worker.workflow.rerun import PREFIX

COUNTED = re.compile(r"[^_./\\]_+([0-9]{4,})(_|-audio)?\.[A-Za-z0-9]+$")
"""A name that ends with a counter, as ComfyUI's own savers and most others make them."""


def may_be_overwritten(job: Job, node_id: str, filename: str) -> bool:
    """Whether the saver may give another file this name.

    ComfyUI's own count on from the highest number that is there, but not where the prefix is empty or ends with a slash
    (seen on 0.33.0): then they begin with 1 each time, and write into the file that they wrote before.
    """
    counted = COUNTED.search(filename)
    if counted is None:
        return True
    node = job.request.prompt.get(node_id)
    prefix = node["inputs"].get(PREFIX) if node else None
    if not isinstance(prefix, str):
        return int(counted[1]) <= 1
    last = prefix.replace("\\", "/").rpartition("/")[2].strip()
    return not last or "%" in last
