"""Lays ComfyUI and its node packs down at their pinned commits: from folders that are there, else from git.

`python3 -m worker.node_packs.sources --pins comfyui_nodes.txt --groups "base video" --sources DIR --to /opt/ComfyUI`

Runs in an image's build before anything is installed: standard library, git, and `pins.py` beside it.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from worker.node_packs.pins import COMFYUI, PacksError, PinnedPack, Pins, read_pins

RECORD = "pins.json"
"""In ComfyUI's folder: what lies there. `{name: {url, commit, from, verified, needs, writes}}`."""

CONTEXT, GIT = "context", "git"
JUNK = (".git", "__pycache__", "*.pyc")

# Nobody sits there to be asked; a folder may belong to another user; and its own settings start no program.
GIT_COMMAND = (
    *("env", "GIT_TERMINAL_PROMPT=0", "git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "init.defaultBranch=pinned"),
)


class SourceError(Exception):
    """A source can't be had as it is pinned; says which and why, in a sentence."""


@dataclass(frozen=True, slots=True)
class InstalledSource:
    """What was laid down. `verified`: by git, every file is that of the commit."""

    url: str
    commit: str
    origin: str
    verified: bool

    def as_dict(self) -> dict[str, str | bool]:
        return {"url": self.url, "commit": self.commit, "from": self.origin, "verified": self.verified}


def install_all(
    pins: Pins,
    groups: Iterable[str],
    sources: Path | None,
    to: Path,
    *,
    any_commit: bool = False,
    state: Path | None = None,
) -> Iterator[tuple[PinnedPack, InstalledSource]]:
    """ComfyUI into `to`, the packs into its custom_nodes, and the record of them. Raises SourceError, PacksError.

    In the place of each file that a pack writes there is a link into `state`, where that is given.
    """
    packs = pins.chosen(groups)
    if to.exists() and any(to.iterdir()):
        raise SourceError(f"{to} is not empty; name a folder that isn't there yet")
    record: dict[str, InstalledSource] = {}
    try:
        for pack in (pins.comfyui, *packs):
            place = to if pack is pins.comfyui else to / "custom_nodes" / pack.name
            record[pack.name] = install(pack, sources, place, any_commit=any_commit)
            if state is not None:
                _link(pack, place, state)
            yield pack, record[pack.name]
    except SourceError:
        shutil.rmtree(to, ignore_errors=True)
        raise
    of_packs = {pack.name: {"needs": list(pack.needs), "writes": list(pack.writes)} for pack in packs}
    rows = {name: {**laid.as_dict(), **of_packs.get(name, {"needs": []})} for name, laid in record.items()}
    text = json.dumps(rows, indent=2)
    (to / RECORD).write_text(f"{text}\n", "utf-8")


def install(pack: PinnedPack, sources: Path | None, to: Path, *, any_commit: bool = False) -> InstalledSource:
    """One pack, or ComfyUI, into the folder `to`, which is not there. Raises SourceError."""
    folder = sources / pack.name if sources else None
    if folder is None or not folder.is_dir():
        _fetch(pack, to)
        laid = InstalledSource(pack.url, pack.commit, GIT, verified=True)
    elif (folder / ".git").exists():
        laid = _from_repository(pack, folder, to, any_commit=any_commit)
    else:
        laid = _copy(pack, folder, to)
    _clean(to)
    _leave_out(pack, to)
    return laid


def _link(pack: PinnedPack, place: Path, state: Path) -> None:
    """To one file each in `state` itself: where that is an empty volume, no folder in it is there yet."""
    for name in pack.writes:
        link = place / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(state / f"{pack.name}.{name.replace('/', '.')}")


def _fetch(pack: PinnedPack, to: Path) -> None:
    if shutil.which("git") is None:
        raise SourceError(f"{pack.name} has to be fetched, and git is not installed")
    to.mkdir(parents=True, exist_ok=True)
    why = f"{pack.name} can't be fetched from {pack.url} at {pack.commit}"
    git(to, "init", "--quiet", why=why)
    git(to, "fetch", "--quiet", "--depth=1", pack.url, pack.commit, why=why)
    git(to, "checkout", "--quiet", pack.commit, why=why)
    if (to / ".gitmodules").exists():
        git(to, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", why=why)


def _from_repository(pack: PinnedPack, folder: Path, to: Path, *, any_commit: bool) -> InstalledSource:
    """The commit's own files, whatever lies in the folder besides; a folder whose git can't be read as it is."""
    with_git = shutil.which("git") is not None
    head = _head_by_git(folder) if with_git else _head_by_files(folder / ".git")
    if head is None:
        return _copy(pack, folder, to)
    commit = head if any_commit or not (with_git and _has(folder, pack.commit)) else pack.commit
    if commit != pack.commit and not any_commit:
        raise SourceError(
            f"{folder} is at {commit[:12]}, and {pack.name} is pinned to {pack.commit[:12]}; check that commit out, "
            "or say --any-commit"
        )
    if not with_git:
        return _copy(pack, folder, to, commit)
    return _export(pack, folder, to, commit, head)


def _export(pack: PinnedPack, folder: Path, to: Path, commit: str, head: str) -> InstalledSource:
    """Writes nothing into the repository: it may be read-only.

    Where git hasn't all files of its HEAD (submodules, a partial clone), those that are checked out are taken.
    """
    why = f"{pack.name} can't be read from {folder} at {commit}"
    to.mkdir(parents=True, exist_ok=True)
    try:
        if (folder / ".gitmodules").exists():
            raise SourceError(f"{why}: it has submodules, and {head} is checked out")
        with tempfile.TemporaryDirectory() as scratch:
            index = str(Path(scratch) / "index")
            git(folder, "read-tree", commit, why=why, index=index)
            git(folder, "checkout-index", "--all", "--force", f"--prefix={to.resolve()}/", why=why, index=index)
    except SourceError:
        if commit != head:
            raise
        _copy_tracked(folder, to, why)
        return InstalledSource(pack.url, commit, CONTEXT, verified=False)
    return InstalledSource(pack.url, commit, CONTEXT, verified=commit == pack.commit)


def _copy_tracked(folder: Path, to: Path, why: str) -> None:
    names = git(folder, "ls-files", "-z", "--recurse-submodules", why=why).split("\0")
    for name in filter(None, names):
        source, target = folder / name, to / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _copy(pack: PinnedPack, folder: Path, to: Path, commit: str | None = None) -> InstalledSource:
    """As it is, but for packs that a ComfyUI's folder has and nobody chose."""

    def left_out(where: str, names: list[str]) -> set[str]:
        packs = pack.name == COMFYUI and Path(where) == folder / "custom_nodes"
        return {name for name in names if packs and (Path(where) / name).is_dir()} | junk(where, names)

    junk = shutil.ignore_patterns(*JUNK)
    shutil.copytree(folder, to, symlinks=True, dirs_exist_ok=True, ignore=left_out)
    return InstalledSource(pack.url, commit or pack.commit, CONTEXT, verified=False)


def _clean(to: Path) -> None:
    """Submodules have a .git of their own."""
    for pattern in JUNK:
        for path in list(to.rglob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def git(folder: Path, *arguments: str, why: str, index: str | None = None) -> str:
    """What git says in the folder. Raises SourceError: `why`, and git's own words."""
    before, after = GIT_COMMAND[:1], GIT_COMMAND[1:]
    command = [*before, *([f"GIT_INDEX_FILE={index}"] if index else []), *after, "-C", str(folder), *arguments]
    done = subprocess.run(  # noqa: S603 - git, and URLs that the reader of the file has checked
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        words = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["git says nothing"]
        raise SourceError(
            f"{why}: {next((line for line in words if line.startswith(('fatal: ', 'error: '))), words[-1])}"
        )
    return done.stdout.strip()


def _leave_out(pack: PinnedPack, to: Path) -> None:
    """Raises SourceError for what is not there: the pack has moved it, and nobody would notice."""
    for place in pack.without:
        path = to / place
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.is_symlink() or path.is_file():
            path.unlink()
        else:
            raise SourceError(f"{pack.name} has no {place}, which its line leaves out; take it out of without=")


def _has(folder: Path, commit: str) -> bool:
    try:
        git(folder, "cat-file", "-e", f"{commit}^{{commit}}", why="")
    except SourceError:
        return False
    return True


def _head_by_git(folder: Path) -> str | None:
    try:
        return git(folder, "rev-parse", "--verify", "HEAD", why="")
    except SourceError:
        return None


def _head_by_files(repository: Path) -> str | None:
    """HEAD where git itself isn't there; None for a repository that is elsewhere or broken."""
    try:
        head = (repository / "HEAD").read_text("utf-8").strip()
        if not head.startswith("ref: "):
            return head
        name = head.removeprefix("ref: ")
        if (repository / name).exists():
            return (repository / name).read_text("utf-8").strip()
        packed = (repository / "packed-refs").read_text("utf-8").splitlines()
    except OSError:
        return None
    return next((line.split()[0] for line in packed if line.endswith(f" {name}")), None)


def main(arguments: list[str] | None = None) -> int:
    """The exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m worker.node_packs.sources", description=__doc__)
    parser.add_argument("--pins", type=Path, required=True, help="comfyui_nodes.txt")
    parser.add_argument("--groups", default="", help="besides base, apart by blanks")
    parser.add_argument("--sources", type=Path, help="a folder that may have ComfyUI and packs, each under its name")
    parser.add_argument("--to", type=Path, required=True, help="ComfyUI's folder, which is not there yet")
    parser.add_argument("--any-commit", action="store_true", help="take folders that are at another commit")
    parser.add_argument("--state", type=Path, help="a folder that can be written to later: for what packs write")
    given = parser.parse_args(arguments)
    try:
        pins = read_pins(given.pins.read_text("utf-8"))
        groups = given.groups.replace(",", " ").split()
        done = install_all(pins, groups, given.sources, given.to, any_commit=given.any_commit, state=given.state)
        for pack, laid in done:
            sys.stdout.write(f"{pack.name}  {laid.commit[:12]}  {_says(pack, laid)}\n")
    except (PacksError, SourceError, OSError) as error:
        sys.stderr.write(f"{given.pins if isinstance(error, PacksError) else 'sources'}: {error}\n")
        return 1
    return 0


def _says(pack: PinnedPack, laid: InstalledSource) -> str:
    if laid.commit != pack.commit:
        return f"from a folder, NOT the pinned {pack.commit[:12]}"
    return f"from {'git' if laid.origin == GIT else 'a folder'}{'' if laid.verified else ', unverified'}"


if __name__ == "__main__":
    sys.exit(main())
