"""The folders that a Python needs: its prefixes, packages, and what .pth files and editable installs name."""

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
ASK_S = 30.0
QUOTED_PATH = re.compile(r"['\"](/[^'\"\n]+)['\"]")
PACKAGES = ("site-packages", "dist-packages")
LISTS = ("PYTHONPATH", "LD_LIBRARY_PATH")
"""Variables with folders that an interpreter reads, too."""


def worker_interpreter() -> list[Path]:
    """Return what the Python of this process needs to run the worker's own package."""
    prefixes = {sys.prefix, sys.base_prefix, sys.exec_prefix, sys.base_exec_prefix}
    packages = [path for path in sys.path if Path(path).name in PACKAGES]
    return _folders([*prefixes, *packages, *_editable(packages), str(Path(worker.__file__).parent)])


def interpreter(python: str, environ: Mapping[str, str]) -> list[Path]:
    """Return what another Python needs, as it says itself. One that can't be asked is found by its place alone."""
    try:
        done = subprocess.run(  # noqa: S603 - the command is the operator's
            [python, "-c", ASK], cwd="/", env=dict(environ), capture_output=True, timeout=ASK_S, check=True
        )
        said = [path for path in json.loads(done.stdout) if path]
    except (OSError, ValueError, subprocess.SubprocessError):
        said = []
    packages = [path for path in said if Path(path).name in PACKAGES]
    listed = [path for name in LISTS for path in environ.get(name, "").split(":")]
    return _folders([*said, *_editable(packages), *listed, *_beside(python)])


def _beside(python: str) -> Iterator[str]:
    """Yield the prefix of a program `PREFIX/bin/python`, and of what it is a link to."""
    path = Path(python).absolute()
    for program in (path, path.resolve()):
        if program.parent.name == "bin":
            yield str(program.parent.parent)


def _editable(packages: Iterable[str]) -> Iterator[str]:
    """Yield the folders that setuptools' finders of editable installs name."""
    for folder in packages:
        for finder in Path(folder).glob("__editable__*.py"):
            yield from QUOTED_PATH.findall(finder.read_text("utf-8", errors="replace"))


def _folders(paths: Iterable[str]) -> list[Path]:
    """Absolute ones that are there, each once; never the root folder or a home folder as a whole."""
    whole = {Path("/"), Path.home(), Path.home().resolve(), Path("/home"), Path("/root")}
    found = {Path(path) for path in paths if path.startswith("/")}
    found |= {path.resolve() for path in found}
    return sorted(path for path in found - whole if path.exists())
