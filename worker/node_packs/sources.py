"""Installs the sources of ComfyUI and its node packs at their pinned commits, from given folders or else from git.

`python3 -m worker.node_packs.sources --pins comfyui_nodes.txt --groups "base video" --sources DIR --to /opt/ComfyUI`

An image's build runs it before any package is installed, so it needs only the standard library, git and `pins.py`.
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
"""File in ComfyUI's folder that records the sources: `{name: {url, commit, from, verified, needs, writes}}`."""

CONTEXT, GIT = "context", "git"
JUNK = (".git", "__pycache__", "*.pyc")

# Git must not prompt, must accept a folder of another user, and must not start programs from a folder's settings.
GIT_COMMAND = (
    *("env", "GIT_TERMINAL_PROMPT=0", "git", "-c", "safe.directory=*", "-c", "core.fsmonitor=false"),
    *("-c", "core.hooksPath=/dev/null", "-c", "advice.detachedHead=false", "-c", "init.defaultBranch=pinned"),
)


class SourceError(Exception):
    """A source cannot be installed as it is pinned; the message names the source and the reason."""


@dataclass(frozen=True, slots=True)
class InstalledSource:
    """An installed source. `verified` is True when git guarantees that every file is that of the commit."""

    url: str
    commit: str
    origin: str
    verified: bool

    def as_dict(self) -> dict[str, str | bool]:
        """Return the fields for the record."""
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
    """Install ComfyUI into `to` and the groups' packs into its custom_nodes, write the record, and yield each source.

    Packs without a folder in `sources` are fetched. With `state`, each file that a pack writes is replaced by a link
    into that folder. Raises SourceError and PacksError. After a SourceError, `to` is removed.
    """
    packs = pins.packs_in_groups(groups)
    if to.exists() and any(to.iterdir()):
        raise SourceError(f"{to} is not empty; give a folder that does not exist yet")
    record: dict[str, InstalledSource] = {}
    try:
        for pack in (pins.comfyui, *packs):
            target = to if pack is pins.comfyui else to / "custom_nodes" / pack.name
            record[pack.name] = install(pack, sources, target, any_commit=any_commit)
            if state is not None:
                _link_written_files(pack, target, state)
            yield pack, record[pack.name]
    except SourceError:
        shutil.rmtree(to, ignore_errors=True)
        raise
    pack_fields = {pack.name: {"needs": list(pack.needs), "writes": list(pack.writes)} for pack in packs}
    rows = {name: {**source.as_dict(), **pack_fields.get(name, {"needs": []})} for name, source in record.items()}
    text = json.dumps(rows, indent=2)
    (to / RECORD).write_text(f"{text}\n", "utf-8")


def install(pack: PinnedPack, sources: Path | None, to: Path, *, any_commit: bool = False) -> InstalledSource:
    """Install one pack, or ComfyUI, into the new folder `to` and return the source. Raises SourceError.

    With `any_commit`, a folder in `sources` may be at another commit.
    """
    folder = sources / pack.name if sources else None
    if folder is None or not folder.is_dir():
        _fetch(pack, to)
        source = InstalledSource(pack.url, pack.commit, GIT, verified=True)
    elif (folder / ".git").exists():
        source = _from_repository(pack, folder, to, any_commit=any_commit)
    else:
        source = _copy(pack, folder, to)
    _remove_junk(to)
    _remove_excluded_paths(pack, to)
    return source


def _link_written_files(pack: PinnedPack, target: Path, state: Path) -> None:
    """Replace each file that the pack writes by a link to a file directly in `state`, which may have no subfolders."""
    for name in pack.writes:
        link = target / name
        link.parent.mkdir(parents=True, exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(state / f"{pack.name}.{name.replace('/', '.')}")


def _fetch(pack: PinnedPack, to: Path) -> None:
    """Fetch the pinned commit, with its submodules, into `to`. Raises SourceError."""
    if shutil.which("git") is None:
        raise SourceError(f"{pack.name} has to be fetched, but git is not installed")
    to.mkdir(parents=True, exist_ok=True)
    failure = f"{pack.name} cannot be fetched from {pack.url} at {pack.commit}"
    git(to, "init", "--quiet", failure=failure)
    git(to, "fetch", "--quiet", "--depth=1", pack.url, pack.commit, failure=failure)
    git(to, "checkout", "--quiet", pack.commit, failure=failure)
    if (to / ".gitmodules").exists():
        git(to, "submodule", "--quiet", "update", "--init", "--recursive", "--depth=1", failure=failure)


def _from_repository(pack: PinnedPack, folder: Path, to: Path, *, any_commit: bool) -> InstalledSource:
    """Install the pinned commit, or with `any_commit` the commit that is checked out, from the repository in `folder`.

    Without git or a readable HEAD, the folder is copied as it is. Raises SourceError when the commit is missing.
    """
    has_git = shutil.which("git") is not None
    head = _head_by_git(folder) if has_git else _head_by_files(folder / ".git")
    if head is None:
        return _copy(pack, folder, to)
    has_pinned_commit = head == pack.commit or (has_git and _has_commit(folder, pack.commit))
    if not any_commit and not has_pinned_commit:
        raise SourceError(
            f"{folder} is at {head[:12]}, and {pack.name} is pinned to {pack.commit[:12]}; check that commit out, "
            "or use --any-commit"
        )
    commit = head if any_commit else pack.commit
    if not has_git:
        return _copy(pack, folder, to, commit)
    return _export(pack, folder, to, commit, head)


def _export(pack: PinnedPack, folder: Path, to: Path, commit: str, head: str) -> InstalledSource:
    """Write the files of a commit into `to`, without writing into the repository, which may be read-only.

    When git does not have all files of its HEAD (submodules, a partial clone), the checked-out files are copied.
    """
    failure = f"{pack.name} cannot be read from {folder} at {commit}"
    to.mkdir(parents=True, exist_ok=True)
    try:
        if (folder / ".gitmodules").exists():
            raise SourceError(f"{failure}: it has submodules, and {head} is checked out instead")
        with tempfile.TemporaryDirectory() as scratch:
            index = str(Path(scratch) / "index")  # the repository's own index stays unchanged
            git(folder, "read-tree", commit, failure=failure, index=index)
            git(folder, "checkout-index", "--all", "--force", f"--prefix={to.resolve()}/", failure=failure, index=index)
    except SourceError:
        if commit != head:
            raise
        _copy_tracked(folder, to, failure)
        return InstalledSource(pack.url, commit, CONTEXT, verified=False)
    return InstalledSource(pack.url, commit, CONTEXT, verified=commit == pack.commit)


def _copy_tracked(folder: Path, to: Path, failure: str) -> None:
    """Copy the checked-out files that git tracks, also those of submodules."""
    names = git(folder, "ls-files", "-z", "--recurse-submodules", failure=failure).split("\0")
    for name in filter(None, names):
        source, target = folder / name, to / name
        if source.is_symlink() or source.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)


def _copy(pack: PinnedPack, folder: Path, to: Path, commit: str | None = None) -> InstalledSource:
    """Copy a folder, at `commit` or the pinned one, without git's data, caches and the packs in custom_nodes."""
    junk = shutil.ignore_patterns(*JUNK)

    def ignored_names(current: str, names: list[str]) -> set[str]:
        ignored = junk(current, names)
        if pack.name == COMFYUI and Path(current) == folder / "custom_nodes":
            ignored |= {name for name in names if (Path(current) / name).is_dir()}
        return ignored

    shutil.copytree(folder, to, symlinks=True, dirs_exist_ok=True, ignore=ignored_names)
    return InstalledSource(pack.url, commit or pack.commit, CONTEXT, verified=False)


def _remove_junk(to: Path) -> None:
    """Remove git's folders, also those of submodules, and Python's caches."""
    for pattern in JUNK:
        for path in list(to.rglob(pattern)):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


def git(folder: Path, *arguments: str, failure: str, index: str | None = None) -> str:
    """Run git in a folder, with another `index` file if given. Return its output. Raises SourceError with `failure`."""
    env, *git_options = GIT_COMMAND
    index_variable = [f"GIT_INDEX_FILE={index}"] if index else []
    command = [env, *index_variable, *git_options, "-C", str(folder), *arguments]
    done = subprocess.run(  # noqa: S603 - git, with URLs that read_pins has checked
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace", check=False
    )
    if done.returncode:
        messages = [line.strip() for line in done.stderr.splitlines() if line.strip()] or ["git printed no message"]
        message = next((line for line in messages if line.startswith(("fatal: ", "error: "))), messages[-1])
        raise SourceError(f"{failure}: {message}")
    return done.stdout.strip()


def _remove_excluded_paths(pack: PinnedPack, to: Path) -> None:
    """Remove the paths in `without=` of the pack's line. Raises SourceError when one does not exist."""
    for name in pack.without:
        path = to / name
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        elif path.is_symlink() or path.is_file():
            path.unlink()
        else:
            raise SourceError(f"{pack.name} has no {name}, which its line leaves out; remove it from without=")


def _has_commit(folder: Path, commit: str) -> bool:
    try:
        git(folder, "cat-file", "-e", f"{commit}^{{commit}}", failure="")
    except SourceError:
        return False
    return True


def _head_by_git(folder: Path) -> str | None:
    try:
        return git(folder, "rev-parse", "--verify", "HEAD", failure="")
    except SourceError:
        return None


def _head_by_files(repository: Path) -> str | None:
    """Return the commit of HEAD from the files in `.git`, or None if it is no folder or damaged."""
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
    """Run the command with these arguments, by default those of the process, and return its exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m worker.node_packs.sources", description=__doc__)
    parser.add_argument("--pins", type=Path, required=True, help="comfyui_nodes.txt")
    parser.add_argument("--groups", default="", help="groups besides base, separated by blanks")
    parser.add_argument(
        "--sources", type=Path, help="folder that may have ComfyUI and packs, each in a folder of its name"
    )
    parser.add_argument("--to", type=Path, required=True, help="folder for ComfyUI, which does not exist yet")
    parser.add_argument("--any-commit", action="store_true", help="accept folders that are at another commit")
    parser.add_argument(
        "--state", type=Path, help="folder that is writable at run time, for the files that packs write"
    )
    options = parser.parse_args(arguments)
    try:
        pins = read_pins(options.pins.read_text("utf-8"))
        groups = options.groups.replace(",", " ").split()
        sources = install_all(
            pins, groups, options.sources, options.to, any_commit=options.any_commit, state=options.state
        )
        for pack, source in sources:
            sys.stdout.write(f"{pack.name}  {source.commit[:12]}  {_origin(pack, source)}\n")
    except (PacksError, SourceError, OSError) as error:
        sys.stderr.write(f"{options.pins if isinstance(error, PacksError) else 'sources'}: {error}\n")
        return 1
    return 0


def _origin(pack: PinnedPack, source: InstalledSource) -> str:
    """Return where a source comes from, for the command's output."""
    if source.commit != pack.commit:
        return f"from a folder, NOT the pinned {pack.commit[:12]}"
    origin = "from git" if source.origin == GIT else "from a folder"
    return origin if source.verified else f"{origin}, unverified"


if __name__ == "__main__":
    sys.exit(main())
