"""A folder in ComfyUI's input folder that marks choices as lists of input files while the catalog is read."""

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
"""Suffixes of the files in the folder. Some node classes list files of certain kinds only."""


@asynccontextmanager
async def marked_folder(root: Path | None) -> AsyncIterator[None]:
    """Keep a marked folder in ComfyUI's input folder `root` while the context is open.

    Without a root or after a failure there is none. The catalog can still be read, but if an unknown node pack lists
    input files, the worker does not recognize them.
    """
    folder = root / new_folder() if root is not None else None
    if folder is not None:
        await asyncio.to_thread(_create, folder)
    try:
        yield
    finally:
        if folder is not None:
            await asyncio.shield(asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True))


def _create(folder: Path) -> None:
    """Create the folder with one file of each kind. A failure is logged."""
    try:
        folder.mkdir()
        for kind in KINDS:
            (folder / f"listed.{kind}").touch()
    except OSError as error:
        log.info(
            "it is unknown which inputs of unknown node packs offer the files of ComfyUI's input folder: %s",
            error,
        )
