"""What ComfyUI and a node pack want of PyPI, read from the tree at the pinned commit; nothing is installed for it."""

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
"""The text of a file of the tree by its name; None for one that isn't there."""

FILE = "requirements.txt"
COMMENT = re.compile(r"(^|\s)#.*")
INCLUDE = re.compile(r"(?:-r|--requirement)[\s=]+(?P<file>\S+)")
# No version, no hash: what it installs is another thing tomorrow.
UNPINNABLE = re.compile(r"^\.|^/|://|^git\+")

# The same module without its windows, which nobody sees on a server, and without the 400 MB of X and Mesa behind them.
HEADLESS = re.compile(r"^opencv(?P<contrib>-contrib)?-python(?=$|[\s<>=!~;\[])", re.IGNORECASE)


def read_requirements(pack: PinnedPack, sources: Path | None) -> tuple[str, ...]:
    """As PEP 508 has them. From a folder of that name in `sources` as `lay` does, else from git.

    Raises SourceError, RequirementsError.
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
    """The commit into an empty folder, with as few of its files as the server lets us off with. Raises SourceError."""
    why = f"{pack.name} can't be fetched from {pack.url} at {pack.commit}"
    git(folder, "init", "--quiet", "--bare", why=why)
    # A remote of that name, so that git knows where to get the files that are read later.
    git(folder, "remote", "add", "origin", pack.url, why=why)
    git(folder, "fetch", "--quiet", "--depth=1", "--filter=blob:none", "origin", pack.commit, why=why)


def requirements(name: str, read: Read) -> tuple[str, ...]:
    """Of requirements.txt, else of pyproject.toml, else none; OpenCV without windows. Raises RequirementsError."""
    if (text := read(FILE)) is not None:
        return tuple(_lines(name, FILE, text, read))
    if (text := read("pyproject.toml")) is not None:
        try:
            project = tomllib.loads(text).get("project", {})
        except tomllib.TOMLDecodeError as error:
            raise RequirementsError(f"{name}: pyproject.toml can't be read: {error}") from error
        return tuple(_checked(name, "pyproject.toml", line) for line in project.get("dependencies", ()))
    return ()


def _lines(name: str, file: str, text: str, read: Read) -> Iterator[str]:
    for line in text.replace("\\\n", " ").splitlines():
        bare = COMMENT.sub("", line).partition(" --hash")[0].strip()
        if include := INCLUDE.fullmatch(bare):
            more = read(include["file"])
            if more is None:
                raise RequirementsError(f"{name}: {file} names {include['file']}, which isn't there")
            yield from _lines(name, include["file"], more, read)
        elif bare:
            yield _checked(name, file, bare)


def _checked(name: str, file: str, line: str) -> str:
    if line.startswith("-"):
        raise RequirementsError(f"{name}: {file} sets {line!r}; a lock is for every index, so pin a fork without it")
    if UNPINNABLE.search(line):
        raise RequirementsError(f"{name}: {file} wants {line!r}, which has no version and no hash to lock")
    return HEADLESS.sub(r"opencv\g<contrib>-python-headless", line)


def _of_folder(folder: Path) -> Read:
    def read(file: str) -> str | None:
        path = folder / file
        return path.read_text("utf-8") if path.is_file() else None

    return read


def _of_commit(pack: PinnedPack, repository: Path) -> Read:
    why = f"{pack.name} can't be read at {pack.commit} in {repository}"
    names = set(git(repository, "ls-tree", "-r", "--name-only", pack.commit, why=why).splitlines())

    def read(file: str) -> str | None:
        return git(repository, "show", f"{pack.commit}:{file}", why=why) if file in names else None

    return read
