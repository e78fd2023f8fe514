"""The folders that a Python interpreter needs: its prefixes, its packages and those of editable installs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import worker

PRINT_PATHS = (
    "import json, site, sys; "
    "print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]))"
)
"""Program that prints an interpreter's prefixes and path."""
PRINT_PATHS_S = 30.0
"""Timeout of that program in seconds."""
QUOTED_PATH = re.compile(r"['\"](/[^'\"\n]+)['\"]")
PACKAGES = ("site-packages", "dist-packages")
LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Variables that list further folders, which an interpreter reads."""


def worker_interpreter_folders() -> list[Path]:
    """Return the folders that the Python of this process needs to run the worker's package."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    packages = [path for path in sys.path if Path(path).name in PACKAGES]
    return _existing_folders([*prefixes, *packages, *_editable_folders(packages), str(Path(worker.__file__).parent)])


def interpreter_folders(python: str, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders that another Python needs: those that it prints, and the prefix in its path.

    If it cannot be run, only the latter and the folders in `environ` are returned.
    """
    try:
        result = subprocess.run(  # noqa: S603 - the command is the operator's
            [python, "-c", PRINT_PATHS],
            cwd="/",
            env=dict(environ),
            capture_output=True,
            timeout=PRINT_PATHS_S,
            check=True,
        )
        reported = [path for path in json.loads(result.stdout) if path]
    except (OSError, ValueError, subprocess.SubprocessError):
        reported = []
    packages = [path for path in reported if Path(path).name in PACKAGES]
    listed = [path for name in LISTS for path in environ.get(name, "").split(":")]
    return _existing_folders([*reported, *_editable_folders(packages), *listed, *_prefixes_of(python)])


def _prefixes_of(python: str) -> Iterator[str]:
    """Yield the prefix of a program `PREFIX/bin/python`, and that of its link's target."""
    path = Path(python).absolute()
    for program in (path, path.resolve()):
        if program.parent.name == "bin":
            yield str(program.parent.parent)


def _editable_folders(packages: Iterable[str]) -> Iterator[str]:
    """Yield the folders of packages that are installed as editable, from the files that setuptools writes for them."""
    for folder in packages:
        for finder in Path(folder).glob("__editable__*.py"):
            yield from QUOTED_PATH.findall(finder.read_text("utf-8", errors="replace"))


def _existing_folders(paths: Iterable[str]) -> list[Path]:
    """Return the absolute paths that exist, with links resolved as well. The root and home folders are left out."""
    excluded = {Path("/"), Path.home(), Path.home().resolve(), Path("/home"), Path("/root")}
    folders = {Path(path) for path in paths if path.startswith("/")}
    folders |= {path.resolve() for path in folders}
    return sorted(path for path in folders - excluded if path.exists())
