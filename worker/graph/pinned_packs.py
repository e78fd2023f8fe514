"""The node packs that `comfyui_nodes.txt` names: where each comes from, at which commit, in which group."""

from __future__ import annotations

import re
from dataclasses import dataclass

GROUP = re.compile(r"#\s*group:\s*([a-z0-9-]+)\s*")
PACK = re.compile(r"(?P<url>https://\S+/(?P<name>[\w.-]+?))(?:\.git)?@(?P<commit>[0-9a-f]{40})")


class PacksError(ValueError):
    """A line of the file is neither a pack pinned to a commit nor a comment."""


@dataclass(frozen=True, slots=True)
class PinnedPack:
    """One node pack; `group` is None for those in every image."""

    name: str
    url: str
    commit: str
    group: str | None = None


def read_pinned_packs(text: str) -> tuple[PinnedPack, ...]:
    """The packs of a file, in its order. Raises PacksError with the number of the line."""
    found: list[PinnedPack] = []
    group: str | None = None
    for number, line in enumerate(map(str.strip, text.splitlines()), start=1):
        if begins := GROUP.fullmatch(line):
            group = begins[1]
        elif line and not line.startswith("#"):
            pack = PACK.fullmatch(line)
            if pack is None:
                raise PacksError(f"line {number}: write URL@COMMIT with the whole commit, not {line!r}")
            found.append(PinnedPack(pack["name"], pack["url"], pack["commit"], group))
    return tuple(found)
