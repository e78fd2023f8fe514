"""What the nodes of a prompt do to the number of frames and of items in a batch."""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from worker.load.features.sizes.size import UPLOADED_VIDEO, Size
from worker.workflow.numbers import number
from worker.workflow.prompt import Node, Prompt

_FRAMES = ("length", "num_frames", "video_frames", "frame_count", "frames")
_NAMES = frozenset({*_FRAMES, "frame_load_cap", "select_every_nth", "batch_size", "amount", "multiplier"})
_INTERPOLATES = re.compile(r"VFI|Interpolat")


def with_counts(prompt: Prompt, node: Node, size: Size, *, is_file: bool) -> Size:
    """Return the size with the number of frames and the batch size that the node sets, if it sets any.

    `is_file` is True if the size is the true one of a file, which a loader may cut but not extend.
    """
    if _NAMES.isdisjoint(node["inputs"]):
        return size
    frames, batch = number(prompt, node, *_FRAMES), number(prompt, node, "batch_size")
    if frames is None and any(isinstance(node["inputs"].get(name), list) for name in _FRAMES):
        frames = UPLOADED_VIDEO.frames  # linked to a node whose value is not known
    if "batch_index" in node["inputs"]:  # takes a part of the items, and `length` is their number
        return _first(size, frames or 1.0)
    if node["class_type"].startswith("Rebatch"):  # sends the same items on in other portions
        return size
    repeats = number(prompt, node, "amount") if node["class_type"].startswith("Repeat") else None
    frames = frames or _loaded_frames(prompt, node, size.frames, is_file=is_file)
    if interpolates(node["class_type"]):
        frames = size.frames * max(number(prompt, node, "multiplier") or 2.0, 1.0)
    return replace(size, frames=frames, batch=(batch or size.batch) * (repeats or 1.0))


def _first(size: Size, count: float) -> Size:
    """Return the size of the first items, which are the frames of a video or the pictures of a batch."""
    if size.frames > 1.0:
        return replace(size, frames=min(count, size.frames), batch=1.0)
    return replace(size, batch=min(count, size.batch))


@lru_cache(maxsize=2048)
def interpolates(class_type: str) -> bool:
    """Return whether nodes of a class add frames between the frames of a video."""
    return _INTERPOLATES.search(class_type) is not None and not class_type.endswith("Loader")


def _loaded_frames(prompt: Prompt, node: Node, frames: float, *, is_file: bool) -> float:
    """Return the number of frames that a loader of videos keeps of a video with so many frames.

    It takes every nth frame, up to a maximum. A maximum of 0 stands for all frames.
    """
    frames = max(frames // max(number(prompt, node, "select_every_nth") or 1.0, 1.0), 1.0)
    most = number(prompt, node, "frame_load_cap")
    if not most:
        return frames
    return min(most, frames) if is_file else most
