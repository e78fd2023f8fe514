"""Checks of the state folder, its disk, the output folder, and the port."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
from pathlib import Path

from worker.check_finding import CheckFinding, fail, ok, warn
from worker.cli.output.units import size
from worker.engine.process.folders import engine_folders
from worker.settings import Settings
from worker.storage.keys import KeyTemplate

GIB = 1024**3
FAIL_BELOW, WARN_BELOW = GIB, 10 * GIB
"""Free bytes on the disk of the state folder."""


def state_folder(settings: Settings) -> CheckFinding:
    """Check that the folder can be written, by writing a file to it or to its nearest parent folder that exists."""
    folder, existing = settings.state.absolute(), existing_folder(settings.state)
    try:
        with tempfile.NamedTemporaryFile(dir=existing):
            pass
    except OSError as error:
        return fail("state", f"{folder} cannot be written: {error.strerror}", "set WORKER_STATE to another folder")
    return ok("state", str(folder) if existing == folder else f"{folder}, will be created")


def disk(settings: Settings) -> CheckFinding:
    """Check the free space for the state folder."""
    free = shutil.disk_usage(existing_folder(settings.state)).free
    description = f"{size(free)} free for the state folder"
    advice = "free space, or set WORKER_STATE to a folder on a larger disk"
    if free < FAIL_BELOW:
        return fail("disk", description, advice)
    return warn("disk", description, advice) if free < WARN_BELOW else ok("disk", description)


def hard_links(settings: Settings) -> CheckFinding:
    """Check whether outputs can be hard-linked into the state folder. If not, they are copied, or fetched over HTTP."""
    output = output_folder(settings)
    if output is None:
        return warn(
            "outputs",
            "fetched from ComfyUI over HTTP",
            "if ComfyUI runs on this machine, set WORKER_COMFYUI_OUTPUT and WORKER_COMFYUI_INPUT to its folders",
        )
    try:
        with tempfile.NamedTemporaryFile(dir=existing_folder(output)) as source:
            link = existing_folder(settings.state) / f"{Path(source.name).name}-link"
            os.link(source.name, link)
            link.unlink()
    except OSError as error:
        return warn(
            "outputs",
            f"copied: no hard links from {output} to the state folder ({error.strerror})",
            "put WORKER_STATE on the same file system as ComfyUI's output folder",
        )
    return ok("outputs", f"hard links from {output}")


def bucket_keys(settings: Settings) -> list[CheckFinding]:
    """Return a warning if the pattern of object keys can give the files of two jobs the same key, or else []."""
    if not settings.s3.bucket or KeyTemplate(settings.s3.key).unique:
        return []
    problem = f"WORKER_S3_KEY={settings.s3.key}: jobs of two callers with the same id overwrite each other's files"
    return [warn("bucket", problem, "add {job} to WORKER_S3_KEY")]


def output_folder(settings: Settings) -> Path | None:
    """Return the folder with ComfyUI's outputs; None if the worker has to fetch them over HTTP."""
    folders = engine_folders(settings)
    return folders.output if folders else settings.engine.output_folder


def port(settings: Settings) -> CheckFinding:
    """Check that the worker can listen on its port, by listening on it for a moment."""
    address = f"{settings.server.host}:{settings.server.port}"
    if settings.server.port == 0:
        return ok("port", f"a free port on {settings.server.host}")
    try:
        with socket.create_server((settings.server.host, settings.server.port)):
            return ok("port", f"{address} is free")
    except OSError as error:
        advice = "stop the other program, or set WORKER_GATEWAY_PORT (0 means a free port)"
        return fail("port", f"{address} cannot be used: {error.strerror}", advice)


def existing_folder(folder: Path) -> Path:
    """Return the folder if it exists, or else its nearest parent folder that exists."""
    path = folder.absolute()
    return next(candidate for candidate in (path, *path.parents) if candidate.exists())
