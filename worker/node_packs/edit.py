"""Edits `comfyui_nodes.txt`, one line at a time. The rest of the text stays as it is. There is no I/O."""

from __future__ import annotations

import re

from worker.node_packs.pins import PacksError, PinnedPack, read_line, read_pins

# A comment of one word is the branch or tag from which the commit was resolved.
REF = re.compile(r"\s+#\s*\S+\s*$")


def add_pack(text: str, pack: PinnedPack, ref: str | None) -> str:
    """Return the text of comfyui_nodes.txt with a new line for the pack.

    The line comes after the last one of its group, and its columns are aligned with those. Without a line of the group,
    it comes at the end. `ref` is the branch or tag for the comment. Raises PacksError when the text already has the
    pack.
    """
    pins = read_pins(text)
    if pack.name.lower() in {pinned.name.lower() for pinned in (pins.comfyui, *pins.packs)}:
        raise PacksError(
            f"{pack.name} is already in the file; `comfy-worker nodes update {pack.name}` changes its commit"
        )
    lines = text.splitlines()
    last_of_group = None
    for number, line in enumerate(lines):
        pinned = read_line(line)
        if pinned is not None and pinned.group == pack.group and pinned.name != pins.comfyui.name:
            last_of_group = number
    if last_of_group is None:
        lines += ["", _line(pack, ref)]
    else:
        lines.insert(last_of_group + 1, _line(pack, ref, above=lines[last_of_group]))
    return "\n".join(lines) + "\n"


def set_commit(text: str, name: str, commit: str, ref: str | None) -> str:
    """Return the text of comfyui_nodes.txt with another commit in the pack's line, and with `ref` as its comment.

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
    """Return a line with the branch or tag as its comment, or without one if `ref` is None."""
    bare = REF.sub("", line)
    return f"{bare}  # {ref}" if ref else bare


def _line(pack: PinnedPack, ref: str | None, above: str = "") -> str:
    """Return the line of a pack: its name, its source and its group, and the branch or tag as a comment.

    The columns begin where those of the line `above` begin, unless a word is too long for that.
    """
    column_starts = [match.start() for match in re.finditer(r"(?<!\S)\S+", above)]
    _, source_start, group_start = [*column_starts, 0, 0, 0][:3]  # 0 for a column that the line above does not have
    line = f"{pack.name}  ".ljust(source_start) + f"{pack.url}@{pack.commit}"
    line = f"{line}  ".ljust(group_start) + pack.group
    return line + (f"  # {ref}" if ref else "")
