"""Sizes of the pictures and videos that a prompt names, read from the headers of the files."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from io import BytesIO
from pathlib import Path

from worker.bodies import SpooledText
from worker.errors import ClientError
from worker.inputs.decode import SentFile
from worker.inputs.file_inputs import ANNOTATED, FileInput, file_inputs, texts
from worker.inputs.paths.path_text import escapes
from worker.inputs.sources import find_sources
from worker.job import InputFile, JobRequest
from worker.load.features.content_size import UPLOADED_IMAGE, Size
from worker.media_facts import MediaFacts, media_facts, media_facts_of_bytes
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import Prompt

HEAD = 64 * 1024
FRAMES_PER_S = 24.0
"""Frames of a second of a video whose headers have no number of frames."""
FRAME_PIXELS_A_BYTE = 8256.0
"""Most pixels of a picture for each byte of its file: what a PNG of one colour has, with one bit a pixel."""
VIDEO_PIXELS_A_BYTE, FRAME_BYTES = 200_000.0, 8.0
"""Most pixels of all frames of a video for each byte, if nothing moves, and fewest bytes of a frame."""
LONG_TEXT = 100
"""Characters above which a text may be a file in base64."""
MOST_FILES = 64
"""Most files whose sizes are read for one prompt. Each takes a fraction of a millisecond."""


def size_of(file: Path | BytesIO | bytes, name: str = "") -> Size | None:
    """Return the size of a picture or video, or None for another file or an unreadable one. Blocks, never raises."""
    if isinstance(file, BytesIO):
        file = file.getvalue()
    if isinstance(file, bytes):
        return _size(media_facts_of_bytes(name, file), len(file))
    try:
        with file.open("rb") as opened:
            head, byte_count = opened.read(HEAD), os.fstat(opened.fileno()).st_size
    except (OSError, ValueError):
        return None
    return _size(media_facts(file, head), byte_count)


def has_long_texts(prompt: Prompt) -> bool:
    """Return whether a text of a prompt may be the data of a file. Cheap, to skip other prompts."""
    return any(
        isinstance(value, str) and _may_be_data(value) for node in prompt.values() for value in node["inputs"].values()
    )


def has_data(prompt: Prompt, catalog: Catalog) -> bool:
    """Return whether the text of a file input may be data. Most long texts only describe pictures."""
    return any(_may_be_data(text) for node_input in file_inputs(prompt, catalog) for text in texts(node_input.value))


def _may_be_data(text: str) -> bool:
    """Return whether a text is long enough for a file, or says that it is one."""
    return len(text) > LONG_TEXT or text.startswith("data:")


def sizes_in_request(request: JobRequest, files: Sequence[SentFile], catalog: Catalog) -> dict[str, Size]:
    """Return the sizes of files in a request, by the texts in the prompt that name them. Blocks, never raises.

    These are the files beside the prompt and those in it. Files whose long texts are not decoded yet are left out.
    """
    node_inputs = list(file_inputs(request.prompt, catalog))
    if not node_inputs:
        return {}
    contents = {file.name: file.content for file in files}
    names = tuple(InputFile(name, Path(), 0, "") for name in contents)
    try:
        sources = find_sources(JobRequest(prompt=request.prompt, inputs=names, urls=request.urls), node_inputs)
    except ClientError:
        return {}  # the job will be rejected with this error
    by_text: dict[str, bytes | Path] = {}
    for text, source in sources.by_text.items():
        content = contents.get(source.content.name) if isinstance(source.content, InputFile) else source.content
        if isinstance(content, bytes):
            by_text[text] = content
        elif content is not None and not isinstance(content, str | SpooledText | Path):
            by_text[text] = content.path
    return _sizes(by_text)


def sizes_in_folders(
    node_inputs: Iterable[FileInput], known: Mapping[str, object], folders: Mapping[str, Path | None]
) -> dict[str, Size]:
    """Return the sizes of files in ComfyUI's own folders, by the texts that name them. Blocks, never raises.

    `folders` are the paths of `input` and `output`, None for one that cannot be reached. Texts in `known` are skipped.
    """
    by_text: dict[str, bytes | Path] = {}
    for node_input in node_inputs:
        for text in texts(node_input.value) if node_input.accepts_upload else ():
            match = ANNOTATED.fullmatch(text)
            name, folder = (match["name"], folders.get(match["folder"])) if match else (text, folders.get("input"))
            if text not in known and folder is not None and not escapes(name):
                by_text[text] = folder / name
    return _sizes(by_text)


def _sizes(by_text: Mapping[str, bytes | Path]) -> dict[str, Size]:
    """Return the sizes of the files that have one."""
    sizes = {text: size_of(file) for text, file in list(by_text.items())[:MOST_FILES]}
    return {text: size for text, size in sizes.items() if size is not None}


def _size(facts: MediaFacts, byte_count: int) -> Size | None:
    """Return the size that the facts of a file describe, or None if they have no width and height.

    A header may state any size. It counts as far as the bytes of the file can hold it.
    """
    if facts.width is None or facts.height is None:
        return None
    frame = Size(facts.width, facts.height)
    most_pixels = max(byte_count * FRAME_PIXELS_A_BYTE, UPLOADED_IMAGE.area)
    if frame.area > most_pixels:
        frame = frame.times(math.sqrt(most_pixels / frame.area))
    frames = facts.frames or (facts.duration_s or 0.0) * FRAMES_PER_S
    most_frames = min(byte_count / FRAME_BYTES, byte_count * VIDEO_PIXELS_A_BYTE / frame.area)
    return replace(frame, frames=max(min(frames, most_frames), 1.0))
