"""Changing `comfyui_nodes.txt`: one line at a time, whatever else stands there stays as it is. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from worker.node_packs.pins import PacksError, PinnedPack, read_line, read_pins

# A comment of one word is the branch or tag that the commit was found by.
REF = re.compile(r"\s+#\s*\S+\s*$")


def add_pack(text: str, pack: PinnedPack, ref: str | None) -> str:
    """With a line for it after the last of its group, in that line's columns, else at the end. Raises PacksError."""
    pins = read_pins(text)
    if pack.name.lower() in {one.name.lower() for one in (pins.comfyui, *pins.packs)}:
        raise PacksError(f"{pack.name} is there already; `comfy-worker nodes update {pack.name}` moves it")
    lines = text.splitlines()
    found = [(number, read_line(line)) for number, line in enumerate(lines)]
    packs = [(number, one) for number, one in found if one and one.name != pins.comfyui.name]
    after = max((number for number, one in packs if one.group == pack.group), default=None)
    if after is None:
        lines += ["", _line(pack, ref)]
    else:
        lines.insert(after + 1, _line(pack, ref, lines[after]))
    return "\n".join(lines) + "\n"


def set_commit(text: str, name: str, commit: str, ref: str | None) -> str:
    """With that commit in the pack's line; the branch or tag in its comment becomes the new one. Raises PacksError."""
    lines = text.splitlines()
    for number, line in enumerate(lines):
        pack = read_line(line)
        if pack is not None and pack.name == name:
            lines[number] = _noted(line.replace(f"@{pack.commit}", f"@{commit}", 1), ref)
            return "\n".join(lines) + "\n"
    raise PacksError(f"there is no pack {name!r}")


def _noted(line: str, ref: str | None) -> str:
    bare = REF.sub("", line)
    return f"{bare}  # {ref}" if ref else bare


def _line(pack: PinnedPack, ref: str | None, like: str = "") -> str:
    """Columns begin where those of the line above do, if they fit."""
    words = [pack.name, f"{pack.url}@{pack.commit}", pack.group]
    starts = [found.start() for found in re.finditer(r"(?<!\S)\S+", like)][1:3]
    line = words[0]
    for word, start in zip(words[1:], _at_least(starts, 2), strict=True):
        line = f"{line}  ".ljust(start) + word
    return line + (f"  # {ref}" if ref else "")


def _at_least(starts: Iterable[int], count: int) -> list[int]:
    return [*starts, *[0] * count][:count]
