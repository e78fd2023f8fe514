"""The state folder, its disk, and the port."""

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
TOO_LITTLE, LITTLE = GIB, 10 * GIB


def state_folder(settings: Settings) -> CheckFinding:
    """Asked by writing a file where the folder is, or will be."""
    folder, there = settings.state.absolute(), nearest(settings.state)
    try:
        with tempfile.NamedTemporaryFile(dir=there):
            pass
    except OSError as error:
        return fail("state", f"{folder} can't be written: {error.strerror}", "set WORKER_STATE to a folder that can")
    return ok("state", str(folder) if there == folder else f"{folder}, to be made")


def disk(settings: Settings) -> CheckFinding:
    free = shutil.disk_usage(nearest(settings.state)).free
    says = f"{size(free)} free for the state folder"
    cure = "make room, or set WORKER_STATE to a larger disk"
    if free < TOO_LITTLE:
        return fail("disk", says, cure)
    return warn("disk", says, cure) if free < LITTLE else ok("disk", says)


def hard_links(settings: Settings) -> CheckFinding:
    """Outputs are taken by hard link; without, they are copied, or fetched where the folder isn't shared at all."""
    output = output_folder(settings)
    if output is None:
        return warn(
            "outputs",
            "fetched from ComfyUI over HTTP",
            "on the same machine set WORKER_COMFYUI_OUTPUT and WORKER_COMFYUI_INPUT to ComfyUI's folders",
        )
    try:
        with tempfile.NamedTemporaryFile(dir=nearest(output)) as source:
            link = nearest(settings.state) / f"{Path(source.name).name}-link"
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
    """Files of two jobs with one id are the same object where the pattern of keys does not tell jobs apart."""
    if not settings.s3.bucket or KeyTemplate(settings.s3.key).unique:
        return []
    says = f"WORKER_S3_KEY={settings.s3.key}: jobs of different callers with one id write the same object"
    return [warn("bucket", says, "put {job} into WORKER_S3_KEY")]


def output_folder(settings: Settings) -> Path | None:
    """Where the worker will look for ComfyUI's files; None where it has to ask for them over HTTP."""
    folders = engine_folders(settings)
    return folders.output if folders else settings.engine.output_folder


def port(settings: Settings) -> CheckFinding:
    address = f"{settings.server.host}:{settings.server.port}"
    if settings.server.port == 0:
        return ok("port", f"a free one of {settings.server.host}")
    try:
        with socket.create_server((settings.server.host, settings.server.port)):
            return ok("port", f"{address} is free")
    except OSError as error:
        cure = "end what listens there, or set WORKER_GATEWAY_PORT (0: a free one)"
        return fail("port", f"{address} can't be used: {error.strerror}", cure)


def nearest(folder: Path) -> Path:
    """The folder itself, or the deepest one above it that exists."""
    path = folder.absolute()
    return next(found for found in (path, *path.parents) if found.exists())
