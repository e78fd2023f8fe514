"""What the git server of a pack says: which commit a branch or tag is, and whether a pinned commit is still there."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from worker.node_packs.pins import PinnedPack
from worker.node_packs.requirements import fetch_commit
from worker.node_packs.sources import SourceError, git

COMMIT = re.compile(r"[0-9a-f]{40}")
AT_ONCE = 8


def resolve_ref(url: str, ref: str | None) -> str:
    """The commit of a tag (what it points at, if it is an annotated one), else of a branch, else of the server's HEAD.

    A whole commit is itself: `unavailable_commits` says whether it is there. Raises SourceError.
    """
    if ref and COMMIT.fullmatch(ref):
        return ref
    said = git(Path("/"), "ls-remote", "--", url, why=f"{url} can't be asked for {ref or 'its newest commit'}")
    refs = {name: commit for commit, _, name in (line.partition("\t") for line in said.splitlines())}
    names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}") if ref else ("HEAD",)
    for name in names:
        if name in refs:
            return refs[name]
    raise SourceError(f"{url} has no {f'branch or tag {ref!r}; a commit has to be whole' if ref else 'commit yet'}")


def unavailable_commits(packs: Sequence[PinnedPack]) -> dict[str, str]:
    """Why its commit can't be had, by the name of the pack; those that can be had are left out.

    The commit itself is fetched: a list of branches says nothing about one that none of them ends at.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        whys = pool.map(_why_not, packs)
        return {pack.name: why for pack, why in zip(packs, whys, strict=True) if why}


def _why_not(pack: PinnedPack) -> str | None:
    try:
        with tempfile.TemporaryDirectory() as scratch:
            fetch_commit(pack, Path(scratch))
    except SourceError as error:
        return str(error)
    return None
