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

    They are read from the pack's folder in `sources` if it exists, at the pinned commit if it is a git repository.
    Otherwise the commit is fetched. Raises SourceError and RequirementsError.
    """
    folder = sources / pack.name if sources else None
    if folder is None or not folder.is_dir():
        with tempfile.TemporaryDirectory() as scratch:
            fetch_commit(pack, Path(scratch))
            return requirements(pack.name, _commit_reader(pack, Path(scratch)))
    if (folder / ".git").exists():
        return requirements(pack.name, _commit_reader(pack, folder))
    return requirements(pack.name, _folder_reader(folder))


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
    """Return the requirements in a pack's requirements.txt, or else in its pyproject.toml, with headless OpenCV.

    `name` is the pack's name for messages, and `read` returns the text of one of its files. Raises RequirementsError
    when a file or a requirement cannot be used.
    """
    text = read(FILE)
    if text is not None:
        return tuple(_file_requirements(name, FILE, text, read))
    text = read("pyproject.toml")
    if text is None:
        return ()
    try:
        project = tomllib.loads(text).get("project", {})
    except tomllib.TOMLDecodeError as error:
        raise RequirementsError(f"{name}: pyproject.toml cannot be read: {error}") from error
    return tuple(_lockable(name, "pyproject.toml", line) for line in project.get("dependencies", ()))


def _file_requirements(name: str, file: str, text: str, read: Read) -> Iterator[str]:
    """Yield the requirements in the text of a requirements file, and those of the files that it includes.

    Comments and hashes are dropped. Raises RequirementsError.
    """
    for line in text.replace("\\\n", " ").splitlines():
        requirement = COMMENT.sub("", line).partition(" --hash")[0].strip()
        if include := INCLUDE.fullmatch(requirement):
            included = read(include["file"])
            if included is None:
                raise RequirementsError(f"{name}: {file} includes {include['file']}, which does not exist")
            yield from _file_requirements(name, include["file"], included, read)
        elif requirement:
            yield _lockable(name, file, requirement)


def _lockable(name: str, file: str, line: str) -> str:
    """Return a requirement, with OpenCV as its headless package. Raises RequirementsError when it cannot be locked."""
    if line.startswith("-"):
        raise RequirementsError(
            f"{name}: {file} has the option {line!r}, which a lock cannot have; pin a fork without it"
        )
    if UNPINNABLE.search(line):
        raise RequirementsError(f"{name}: {file} requires {line!r}, which has no version and no hash to lock")
    return HEADLESS.sub(r"opencv\g<contrib>-python-headless", line)


def _folder_reader(folder: Path) -> Read:
    """Return a function that returns the text of a file in the folder, or None when there is no such file."""

    def read(file: str) -> str | None:
        path = folder / file
        return path.read_text("utf-8") if path.is_file() else None

    return read


def _commit_reader(pack: PinnedPack, repository: Path) -> Read:
    """Return a function that returns the text of a file in the pinned commit, or None when there is no such file.

    Raises SourceError when the repository does not have the commit.
    """
    failure = f"{pack.name} cannot be read at {pack.commit} in {repository}"
    names = set(git(repository, "ls-tree", "-r", "--name-only", pack.commit, failure=failure).splitlines())

    def read(file: str) -> str | None:
        return git(repository, "show", f"{pack.commit}:{file}", failure=failure) if file in names else None

    return read
