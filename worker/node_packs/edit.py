"""Edits `comfyui_nodes.txt`, one line at a time. The rest of the text stays as it is. There is no I/O."""

from __future__ import annotations

import re
from collections.abc import Iterable

from worker.node_packs.pins import PacksError, PinnedPack, read_line, read_pins

# A comment of one word is the branch or tag from which the commit was resolved.
REF = re.compile(r"\s+#\s*\S+\s*$")


def add_pack(text: str, pack: PinnedPack, ref: str | None) -> str:
    """Return the text with a new line for the pack.

    The line comes after the last one of its group, aligned with it, or else at the end. Raises PacksError when the text
    already has the pack.
    """
    pins = read_pins(text)
    if pack.name.lower() in {pinned.name.lower() for pinned in (pins.comfyui, *pins.packs)}:
        raise PacksError(
            f"{pack.name} is already in the file; `comfy-worker nodes update {pack.name}` changes its commit"
        )
    lines = text.splitlines()
    numbered = [(number, read_line(line)) for number, line in enumerate(lines)]
    packs = [(number, pinned) for number, pinned in numbered if pinned and pinned.name != pins.comfyui.name]
    after = max((number for number, pinned in packs if pinned.group == pack.group), default=None)
    if after is None:
        lines += ["", _line(pack, ref)]
    else:
        lines.insert(after + 1, _line(pack, ref, lines[after]))
    return "\n".join(lines) + "\n"


def set_commit(text: str, name: str, commit: str, ref: str | None) -> str:
    """Return the text with another commit in the pack's line, and with `ref` as its comment.

    Raises PacksError when there is no such pack.
    """
    lines = text.splitlines()
    for number, line in enumerate(lines):
        pack = read_line(line)
        if pack is not None and pack.name == name:
            lines[number] = _with_comment(line.replace(f"@{pack.commit}", f"@{commit}", 1), ref)
            return "\n".join(lines) + "\n"
    raise PacksError(f"there is no pack {name!r}")


def _with_comment(line: str, ref: str | None) -> str:
    """Return a line with the branch or tag as its comment."""
    bare = REF.sub("", line)
    return f"{bare}  # {ref}" if ref else bare


def _line(pack: PinnedPack, ref: str | None, above: str = "") -> str:
    """Return the line of a pack, with its columns aligned to those of the line above where they fit."""
    words = [pack.name, f"{pack.url}@{pack.commit}", pack.group]
    starts = [match.start() for match in re.finditer(r"(?<!\S)\S+", above)][1:3]
    line = words[0]
    for word, start in zip(words[1:], _padded(starts, 2), strict=True):
        line = f"{line}  ".ljust(start) + word
    return line + (f"  # {ref}" if ref else "")


def _padded(starts: Iterable[int], count: int) -> list[int]:
    """Return `count` columns, with 0 for those that are missing."""
    return [*starts, *[0] * count][:count]
