"""Checks of the engines' sandbox: what the kernel supports, and folders that the sandbox makes inaccessible."""

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
    """Return the state of the sandbox, and a warning for each folder that ComfyUI could not access in it."""
    try:
        status = engines_sandbox(settings)
    except StartupError as error:
        return [fail(NAME, str(error), CURE)]
    if status is None:
        return [ok(NAME, "none: the worker does not start this ComfyUI")]
    if status.state is SandboxState.ON:
        description = (
            f"on: Landlock {landlock_version()}, no capabilities; WORKER_ENGINE_NETWORK={settings.sandbox.network}"
        )
        return [ok(NAME, description), *_inaccessible(settings)]
    return [warn(NAME, f"{status}", CURE), *([] if status.state is SandboxState.OFF else _inaccessible(settings))]


def _inaccessible(settings: Settings) -> list[CheckFinding]:
    """Return a warning for each folder that ComfyUI needs and cannot access as root without capabilities.

    Such a folder belongs to another user, and its permissions keep other users out.
    """
    folders = engine_folders(settings)
    read = [*split(settings.sandbox.read), *(folders.model_roots if folders else ())]
    write = [*split(settings.sandbox.write), *((folders.input, folders.output) if folders else ())]
    required = [(path, stat.S_IROTH) for path in read] + [(path, stat.S_IWOTH) for path in write]
    return [
        warn(
            NAME,
            f"ComfyUI runs without root's capabilities, and only user {path.stat().st_uid} can access {path}",
            f"chown -R {os.geteuid()} {path}, or chmod -R o+{'r' if bit == stat.S_IROTH else 'rw'}X {path}",
        )
        for path, bit in required
        if path is not None and path.is_dir() and needs_capabilities(path.stat(), bit, os.geteuid())
    ]


def needs_capabilities(status: os.stat_result, bit: int, user: int) -> bool:
    """Return whether this user can access a file only with root's capabilities.

    `bit` is the permission bit for other users that the access needs, such as stat.S_IROTH.
    """
    return user == 0 and status.st_uid != 0 and status.st_gid != 0 and not status.st_mode & bit
