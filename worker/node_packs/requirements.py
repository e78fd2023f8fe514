"""Reads the Python requirements of ComfyUI and node packs at their pinned commits, without installing anything."""

from __future__ import annotations

import re
import tempfile
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

from worker.errors import RequirementsError
from worker.node_packs.pins import PinnedPack
from worker.node_packs.sources import git

Read = Callable[[str], str | None]
"""Returns the text of a file by its name, or None when there is no such file."""

FILE = "requirements.txt"
COMMENT = re.compile(r"(^|\s)#.*")
INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]+(?P<file>\S+)")
# Requirements without a version or hash, which can install something else tomorrow.
UNPINNABLE = re.compile(r"^\.|^/|://|^git\+")

# The headless packages have the same module without windows, and without the 400 MB of X and Mesa that windows need.
HEADLESS = re.compile(r"^opencv(?P<contrib>-contrib)?-python(?=$|[\s<>=!~;\[])", re.IGNORECASE)


def read_requirements(pack: PinnedPack, sources: Path | None) -> tuple[str, ...]:
    """Return a pack's requirements as PEP 508 texts.

    They come from the folder of that name in `sources` if it exists, as in `sources.install`, or else from git. Raises
    SourceError and RequirementsError.
    """
    folder = sources / pack.name if sources else None
    if folder is None or not folder.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            fetch_commit(pack, Path(scratch))
            return requirements(pack.name, _of_commit(pack, Path(scratch)))
    if (folder / ".git").exists():
        return requirements(pack.name, _of_commit(pack, folder))
    return requirements(pack.name, _of_folder(folder))


def fetch_commit(pack: PinnedPack, folder: Path) -> None:
    """Fetch one commit into an empty folder, without file contents where the server supports partial clones.

    Raises SourceError when the server cannot be reached or does not have the commit.
    """
    failure = f"{pack.name} cannot be fetched from {pack.url} at {pack.commit}"
    git(folder, "init", "--quiet", "--bare", failure=failure)
    # With a remote of that name, git can fetch the contents of files later, when they are read.
    git(folder, "remote", "add", "origin", pack.url, failure=failure)
    git(folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", pack.commit, failure=failure)


def requirements(name: str, read: Read) -> tuple[str, ...]:
    """Return the requirements in requirements.txt, or else in pyproject.toml, with headless OpenCV.

    Raises RequirementsError when a file or a requirement cannot be used.
    """
    if (text := read(FILE)) is not None:
        return tuple(_lines(name, FILE, text, read))
    if (text := read("pyproject.toml")) is not None:
        try:
            project = tomllib.loads(text).get("project", {})
        except tomllib.TOMLDecodeError as error:
            raise RequirementsError(f"{name}: pyproject.toml cannot be read: {error}") from error
        return tuple(_checked(name, "pyproject.toml", line) for line in project.get("dependencies", ()))
    return ()


def _lines(name: str, file: str, text: str, read: Read) -> Iterator[str]:
    """Yield the requirements in a requirements file and the files that it includes."""
    for line in text.replace("\\\n", " ").splitlines():
        requirement = COMMENT.sub("", line).partition(" --hash")[0].strip()
        if include := INCLUDE.fullmatch(requirement):
            included = read(include["file"])
            if included is None:
                raise RequirementsError(f"{name}: {file} includes {include['file']}, which does not exist")
            yield from _lines(name, include["file"], included, read)
        elif requirement:
            yield _checked(name, file, requirement)


def _checked(name: str, file: str, line: str) -> str:
    """Return a requirement. Raises RequirementsError when it cannot be locked."""
    if line.startswith("-"):
        raise RequirementsError(
            f"{name}: {file} has the option {line!r}, which a lock cannot have; pin a fork without it"
        )
    if UNPINNABLE.search(line):
        raise RequirementsError(f"{name}: {file} requires {line!r}, which has no version and no hash to lock")
    return HEADLESS.sub(r"opencv\g<contrib>-python-headless", line)


def _of_folder(folder: Path) -> Read:
    """Return a function that reads files of a folder."""

    def read(file: str) -> str | None:
        path = folder / file
        return path.read_text("utf-8") if path.is_file() else None

    return read


def _of_commit(pack: PinnedPack, repository: Path) -> Read:
    """Return a function that reads files of the pinned commit."""
    failure = f"{pack.name} cannot be read at {pack.commit} in {repository}"
    names = set(git(repository, "ls-tree", "-r", "--name-only", pack.commit, failure=failure).splitlines())

    def read(file: str) -> str | None:
        return git(repository, "show", f"{pack.commit}:{file}", failure=failure) if file in names else None

    return read
