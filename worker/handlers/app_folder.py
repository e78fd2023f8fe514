"""The folder of an app with handlers, and the command of its processes."""

from __future__ import annotations

import json
import logging
import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from worker.engine.process import die_with_parent
from worker.errors import StartupError
from worker.settings import HandlerSettings, handlers_environment

log = logging.getLogger(__name__)

MIB = 1024 * 1024
CALL_SERVER = Path(__file__).parent / "app_side" / "call_server.py"
ENVIRONMENT = ".venv"
"""Name of the virtual environment in the folder of an app."""


@dataclass(frozen=True, slots=True)
class AppFolder:
    """An app, the interpreter and environment of its processes, and their limits in bytes."""

    path: Path
    python: str
    environment: Mapping[str, str] = field(repr=False)
    memory: int
    """Most bytes that a process may allocate, 0 for no limit."""
    max_result: int

    @classmethod
    def of(cls, settings: HandlerSettings, path: Path) -> Self:
        """Return the app in a folder. Raises StartupError if it has no handlers, or no interpreter."""
        folder = path.absolute()
        if not (folder / "handlers").is_dir():
            raise StartupError(f"WORKER_HANDLERS={path} is no app: it has no folder `handlers`")
        environment = handlers_environment(settings.environment)
        if unset := [name for name in settings.environment if name not in environment]:
            log.warning("WORKER_HANDLERS_ENV names variables that are not set: %s", ", ".join(unset))
        python = settings.python or app_python(folder) or sys.executable
        if shutil.which(python, path=environment.get("PATH")) is None:
            source = f"WORKER_HANDLERS_PYTHON={python}" if settings.python else python
            raise StartupError(
                f"{source} is no program that can be run: `comfy-worker handlers install {path}` makes one"
            )
        return cls(folder, python, environment, settings.memory * MIB, settings.max_result * MIB)

    def command(self, descriptor: int, port: int, broken: Mapping[str, str]) -> list[str]:
        """Return the command of a process, which is killed when the worker ends.

        `descriptor` is that of its socket, and `port` that of ComfyUI's API. `broken` are the files that are not
        imported, and why.
        """
        options: dict[str, object] = {"app": str(self.path), "descriptor": descriptor, "port": port}
        options |= {"memory": self.memory, "max_result": self.max_result, "broken": dict(broken)}
        bound_to_parent = [sys.executable, "-I", "-S", die_with_parent.__file__, str(os.getpid())]
        return [*bound_to_parent, self.python, str(CALL_SERVER), json.dumps(options)]


def app_python(folder: Path) -> str | None:
    """Return the interpreter of the app's own virtual environment, or None if it has no such folder."""
    environment = folder / ENVIRONMENT
    return str(environment / "bin" / "python") if environment.is_dir() else None
