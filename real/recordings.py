"""What a real ComfyUI did with each job, kept in `tests/data`: the embedded engine is held to it without one."""

from __future__ import annotations

import gzip
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson

from real.embedded_engine import Recording
from real.passes import JobResult, RequestMode

LOG, CATALOG = "real-log.json", "real-catalog.json.gz"


def keep(results: Sequence[JobResult], object_info: bytes, comfyui: Path, folder: Path) -> None:
    """Write the recordings of the inline requests, and the part of the catalog that their classes are."""
    sent = [result for result in results if result.mode is RequestMode.INLINE and not result.skipped]
    rows = {result.job.title: Recording.of(result).as_dict() for result in sent}
    lines = [f"{orjson.dumps(title).decode()}: {orjson.dumps(row).decode()}" for title, row in sorted(rows.items())]
    (folder / LOG).write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    # Packs put the folder of their ComfyUI into defaults.
    specs: dict[str, Any] = orjson.loads(object_info.replace(str(comfyui.resolve()).encode(), b"/comfyui"))
    classes = {name for result in sent for name in result.job.classes}
    part = orjson.dumps({name: specs[name] for name in sorted(classes)})
    (folder / CATALOG).write_bytes(gzip.compress(part, mtime=0))


def catalog(folder: Path) -> str:
    """The kept part of the real ComfyUI's catalog, as `GET /object_info` answers."""
    return gzip.decompress((folder / CATALOG).read_bytes()).decode()


def read(folder: Path) -> Mapping[str, Recording]:
    """The recordings by the titles of their jobs."""
    rows = orjson.loads((folder / LOG).read_bytes())
    return {title: Recording(**row) for title, row in rows.items()}
