"""Editing `comfyui_nodes.txt`."""

from __future__ import annotations

import pytest

from worker.node_packs.edit import add_pack, set_commit
from worker.node_packs.pins import PacksError, PinnedPack, read_pins

OLD, NEW = "0123456789abcdef0123456789abcdef01234567", "f" * 40
TEXT = f"""# head, which stays
ComfyUI  https://x.org/c/ComfyUI@{OLD}  # v1.0

One      https://x.org/a/One@{OLD}        base  needs="A b"  # main
# between
Two      https://x.org/a/Two@{OLD}        base  gpu-import  # seen working

Three    https://x.org/b/Three@{OLD}      more
"""


def test_a_pack_joins_its_group_in_its_columns() -> None:
    """A new pack comes after the last of its group, and other lines do not change."""
    text = add_pack(TEXT, PinnedPack("Four", "https://x.org/a/Four", NEW), "v2")
    line = f"Four     https://x.org/a/Four@{NEW}       base  # v2"
    assert text.splitlines()[6] == line
    assert text.replace(f"{line}\n", "") == TEXT
    assert [pack.name for pack in read_pins(text).packs] == ["One", "Two", "Four", "Three"]


def test_a_pack_of_a_new_group_comes_last() -> None:
    """A pack of a new group comes last, after a blank line."""
    text = add_pack(TEXT, PinnedPack("Four", "https://x.org/a/Four", NEW, "other"), None)
    assert text == f"{TEXT}\nFour  https://x.org/a/Four@{NEW}  other\n"


def test_a_pack_is_not_added_twice() -> None:
    """A pack cannot be added twice, in any case of letters."""
    with pytest.raises(PacksError, match="nodes update one"):
        add_pack(TEXT, PinnedPack("one", "https://x.org/a/One", NEW), None)


def test_a_pack_moves_with_the_name_of_its_commit() -> None:
    """An update replaces the branch or tag in the comment and keeps the rest of the line."""
    by_tag = set_commit(TEXT, "ComfyUI", NEW, "v1.1")
    assert by_tag == TEXT.replace(f"ComfyUI@{OLD}  # v1.0", f"ComfyUI@{NEW}  # v1.1")
    newest = set_commit(TEXT, "One", NEW, None)
    assert newest == TEXT.replace(f"One@{OLD}", f"One@{NEW}").replace("  # main", "")
    assert set_commit(TEXT, "Two", NEW, None) == TEXT.replace(f"Two@{OLD}", f"Two@{NEW}")
    with pytest.raises(PacksError, match="no pack 'Five'"):
        set_commit(TEXT, "Five", NEW, None)
