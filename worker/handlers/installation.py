"""Makes the virtual environment of an app."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from worker.errors import StartupError
from worker.handlers.app_folder import ENVIRONMENT

REQUIREMENTS = "requirements.txt"
LAST_LINES = 5
"""Lines of the output of a failed step that the error shows."""


def install(app: Path, python: str) -> Path:
    """Make or update `.venv` of an app, install its requirements, and return the interpreter.

    Raises StartupError if the folder is no app, or a step fails.
    """
    folder = app.absolute()
    if not (folder / "handlers").is_dir():
        raise StartupError(f"{app} is no app: it has no folder `handlers`")
    environment = folder / ENVIRONMENT
    interpreter = environment / "bin" / "python"
    if not interpreter.exists():
        _run([python, "-c", "import sys, venv; venv.main(sys.argv[1:])", str(environment)], folder)
    if (folder / REQUIREMENTS).is_file():
        pip = environment / "bin" / "pip"
        if not pip.exists():  # as in environments that uv has made
            _run([str(interpreter), "-c", "import ensurepip; ensurepip.bootstrap(default_pip=True)"], folder)
        _run([str(pip), "install", "--disable-pip-version-check", "--requirement", REQUIREMENTS], folder)
    return interpreter


def _run(command: Sequence[str], folder: Path) -> None:
    """Run one step. Raises StartupError with the end of its output if it fails."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    except OSError as error:
        raise StartupError(f"{command[0]} cannot be run: {error.strerror}") from error
    if done.returncode:
        output = "\n".join((done.stdout + done.stderr).strip().splitlines()[-LAST_LINES:])
        raise StartupError(f"`{' '.join(command)}` has failed:\n{output}")
