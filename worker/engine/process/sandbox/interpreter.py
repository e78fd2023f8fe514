"""The folders that a Python interpreter needs: its prefixes, its packages and those of editable installs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import worker

ASK = (
    "import json, site, sys; "
    "print(json.dumps([sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix, *sys.path]))"
)
"""Program that prints an interpreter's prefixes and path."""
ASK_S = 30.0
"""Timeout of that program in seconds."""
QUOTED_PATH = re.compile(r"['\"](/[^'\"\n]+)['\"]")
PACKAGES = ("site-packages", "dist-packages")
LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Variables with more folders that an interpreter reads."""


def worker_interpreter_folders() -> list[Path]:
    """Return the folders that the Python of this process needs to run the worker's package."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    packages = [path for path in sys.path if Path(path).name in PACKAGES]
    return _folders([*prefixes, *packages, *_editable_folders(packages), str(Path(worker.__file__).parent)])


def interpreter_folders(python: str, environ: Mapping[str, str]) -> list[Path]:
    """Return the folders that another Python reports to need.

    If it does not run, its prefix is derived from its path.
    """
    try:
        result = subprocess.run(  # noqa: S603 - the command is the operator's
            [python, "-c", ASK], cwd="/", env=dict(environ), capture_output=True, timeout=ASK_S, check=True
        )
        reported = [path for path in json.loads(result.stdout) if path]
    except (OSError, ValueError, subprocess.SubprocessError):
        reported = []
    packages = [path for path in reported if Path(path).name in PACKAGES]
    listed = [path for name in LISTS for path in environ.get(name, "").split(":")]
    return _folders([*reported, *_editable_folders(packages), *listed, *_prefixes_of(python)])


def _prefixes_of(python: str) -> Iterator[str]:
    """Yield the prefix of a program `PREFIX/bin/python`, and that of its link's target."""
    path = Path(python).absolute()
    for program in (path, path.resolve()):
        if program.parent.name == "bin":
            yield str(program.parent.parent)


def _editable_folders(packages: Iterable[str]) -> Iterator[str]:
    """Yield the folders in setuptools' finders of editable installs."""
    for folder in packages:
        for finder in Path(folder).glob("__editable__*.py"):
            yield from QUOTED_PATH.findall(finder.read_text("utf-8", errors="replace"))


def _folders(paths: Iterable[str]) -> list[Path]:
    """Return the existing absolute paths, each once. The root folder and whole home folders are left out."""
    excluded = {Path("/"), Path.home(), Path.home().resolve(), Path("/home"), Path("/root")}
    folders = {Path(path) for path in paths if path.startswith("/")}
    folders |= {path.resolve() for path in folders}
    return sorted(path for path in folders - excluded if path.exists())
