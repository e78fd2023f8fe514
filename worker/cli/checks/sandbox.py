"""The sandbox of the engines: what this kernel offers of it, and folders that it makes unreachable."""

from __future__ import annotations

import os
import stat

from worker.check_finding import CheckFinding, fail, ok, warn
from worker.engine.process.folders import engine_folders
from worker.engine.process.sandbox.plan import split
from worker.engine.process.sandbox.support import CURE, SandboxState, engines_sandbox, landlock_version
from worker.errors import StartupError
from worker.settings import Settings

NAME = "sandbox"


def sandbox(settings: Settings) -> list[CheckFinding]:
    """Return what holds for a ComfyUI that the worker starts, and each folder that root needs its capabilities for."""
    try:
        status = engines_sandbox(settings)
    except StartupError as error:
        return [fail(NAME, str(error), CURE)]
    if status is None:
        return [ok(NAME, "none: somebody else starts this ComfyUI")]
    if status.state is SandboxState.ON:
        says = f"on: Landlock {landlock_version()}, no capabilities; WORKER_ENGINE_NETWORK={settings.sandbox.network}"
        return [ok(NAME, says), *_unreachable(settings)]
    return [warn(NAME, f"{status}", CURE), *([] if status.state is SandboxState.OFF else _unreachable(settings))]


def _unreachable(settings: Settings) -> list[CheckFinding]:
    """Folders that belong to another user, which root can read or write by its capabilities alone."""
    folders = engine_folders(settings)
    read = [*split(settings.sandbox.read), *((folders.models, folders.baked) if folders else ())]
    write = [*split(settings.sandbox.write), *((folders.input, folders.output) if folders else ())]
    wanted = [(path, stat.S_IROTH) for path in read] + [(path, stat.S_IWOTH) for path in write]
    return [
        warn(
            NAME,
            f"ComfyUI gives up root's capabilities, and {path} is user {path.stat().st_uid}'s: not for others",
            f"chown -R {os.geteuid()} {path}, or chmod -R o+{'r' if bit == stat.S_IROTH else 'rw'}X {path}",
        )
        for path, bit in wanted
        if path is not None and path.is_dir() and needs_capabilities(path.stat(), bit, os.geteuid())
    ]


def needs_capabilities(found: os.stat_result, bit: int, user: int) -> bool:
    """Return whether this user reaches a file only as it has root's capabilities. `bit` is of others' permissions."""
    return user == 0 and found.st_uid != 0 and found.st_gid != 0 and not found.st_mode & bit
