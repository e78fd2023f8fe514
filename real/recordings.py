"""Recordings of a real ComfyUI's behaviour for each job, in `tests/data`, for tests of the embedded engine."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from real.embedded_engine import Recording
from real.passes import JobResult, RequestMode

LOG, CATALOG = "real-log.json", "real-catalog.json.gz"


def save(results: Sequence[JobResult], object_info: bytes, comfyui: Path, folder: Path) -> None:
    """Write the recordings of the inline requests, and the catalog of the classes that they use."""
    sent = [result for result in results if result.mode is RequestMode.INLINE and not result.skipped]
    rows = {result.job.title: Recording.of(result).as_dict() for result in sent}
    lines = [f"{orjson.dumps(title).decode()}: {orjson.dumps(row).decode()}" for title, row in sorted(rows.items())]
    (folder / LOG).write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    # The defaults of some packs contain the path of their ComfyUI.
    specs: dict[str, Any] = orjson.loads(object_info.replace(str(comfyui.resolve()).encode(), b"/comfyui"))
    classes = {name for result in sent for name in result.job.classes}
    part = orjson.dumps({name: specs[name] for name in sorted(classes)})
    (folder / CATALOG).write_bytes(gzip.compress(part, mtime=0))


def catalog(folder: Path) -> str:
    """Return the recorded part of the catalog, as JSON in the form of `GET /object_info`."""
    return gzip.decompress((folder / CATALOG).read_bytes()).decode()


def read(folder: Path) -> Mapping[str, Recording]:
    """Return the recordings by the titles of their jobs."""
    rows = orjson.loads((folder / LOG).read_bytes())
    return {title: Recording(**row) for title, row in rows.items()}
