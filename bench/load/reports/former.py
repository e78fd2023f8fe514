"""The former release of the worker, from the history of the clone, for the column "today"."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from io import BytesIO
from pathlib import Path

FORMER = "1219f7fa"
"""The last commit before the load was predicted."""
ROOT = Path(__file__).parents[3]


def check_out_former(folder: Path) -> dict[str, str] | None:
    """Write the former worker to a folder, and return the environment of a process that runs it.

    It uses the libraries of this environment. Return None if the clone does not have the commit.
    """
    if shutil.which("git") is None:
        return None
    archive = subprocess.run(
        ["git", "archive", FORMER, "worker", "workflows"], cwd=ROOT, capture_output=True, check=False
    )
    if archive.returncode:
        return None
    with tarfile.open(fileobj=BytesIO(archive.stdout)) as files:
        files.extractall(folder, filter="data")
    return {"PYTHONPATH": str(folder), "PYTHONSAFEPATH": "1"}  # the current folder has another worker
