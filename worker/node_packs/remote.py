"""Asks a pack's git server for the commit of a branch or tag, and whether a pinned commit still exists."""

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
    """Return the commit of a tag or branch, or of the server's HEAD without a `ref`.

    An annotated tag is resolved to the commit that it points to. A whole commit is returned unchanged, without checking
    that it exists. Raises SourceError when the server cannot be reached or has no such branch or tag.
    """
    if ref and COMMIT.fullmatch(ref):
        return ref
    output = git(Path("/"), "ls-remote", "--", url, failure=f"{url}: {ref or 'the newest commit'} cannot be read")
    refs = {name: commit for commit, _, name in (line.partition("\t") for line in output.splitlines())}
    # In the order of preference. The first name is the commit that an annotated tag points to.
    names = (f"refs/tags/{ref}^{{}}", f"refs/tags/{ref}", f"refs/heads/{ref}") if ref else ("HEAD",)
    for name in names:
        if name in refs:
            return refs[name]
    if ref is None:
        raise SourceError(f"{url} has no commit yet")
    raise SourceError(f"{url} has no branch or tag {ref!r}; give a commit with all 40 digits")


def unavailable_commits(packs: Sequence[PinnedPack]) -> dict[str, str]:
    """Try to fetch the commit of each pack. Return the reasons of the failures by the packs' names.

    A list of branches would not be enough, because it does not show whether older commits still exist.
    """
    with ThreadPoolExecutor(AT_ONCE) as pool:
        reasons = pool.map(_fetch_failure, packs)
        return {pack.name: reason for pack, reason in zip(packs, reasons, strict=True) if reason}


def _fetch_failure(pack: PinnedPack) -> str | None:
    """Fetch the pack's commit into a temporary folder. Return the reason if it fails, or None."""
    try:
        with tempfile.TemporaryDirectory() as scratch:
            fetch_commit(pack, Path(scratch))
    except SourceError as error:
        return str(error)
    return None
