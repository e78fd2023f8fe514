"""A folder like a job's, there while the catalog is read: choices that list it are inputs that take files."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from worker.job import new_folder

log = logging.getLogger(__name__)

KINDS = ("png", "mp4", "wav", "txt", "json", "csv", "glb", "latent", "safetensors")
"""Classes list files of some kinds only."""


@asynccontextmanager
async def marked_folder(root: Path | None) -> AsyncIterator[None]:
    """Keep such a folder in ComfyUI's input folder, `root`. Without it a catalog is read as well."""
    folder = root / new_folder() if root is not None else None
    if folder is not None:
        await asyncio.to_thread(_make, folder)
    try:
        yield
    finally:
        if folder is not None:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _make(folder: Path) -> None:
    try:
        folder.mkdir()
        for kind in KINDS:
            (folder / f"listed.{kind}").touch()
    except OSError as error:
        log.info("classes of unknown packs that list ComfyUI's input folder can't be told: %s", error)
