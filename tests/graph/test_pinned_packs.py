"""`comfyui_nodes.txt`."""

from __future__ import annotations

from pathlib import Path

import pytest

from worker.graph.catalog import Catalog
from worker.graph.pinned_packs import PacksError, PinnedPack, read_pinned_packs

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def test_packs_are_read_with_their_groups() -> None:
    """Before the first group a pack is in every image; comments and blank lines are none."""
    text = f"# head\n\nhttps://x.org/a/One.git@{COMMIT}\n# group: more\n# said\nhttps://x.org/b/Two@{COMMIT}\n"
    assert read_pinned_packs(text) == (
        PinnedPack("One", "https://x.org/a/One", COMMIT),
        PinnedPack("Two", "https://x.org/b/Two", COMMIT, "more"),
    )


@pytest.mark.parametrize("line", ["https://x.org/a/One", "https://x.org/a/One@main", f"x.org/a@{COMMIT}", "One"])
def test_a_pack_without_its_commit_is_refused(line: str) -> None:
    """A branch would be another pack tomorrow."""
    with pytest.raises(PacksError, match="line 2: write URL@COMMIT"):
        read_pinned_packs(f"# head\n{line}\n")


def test_the_bundled_catalog_has_the_classes_of_every_pack() -> None:
    """What is validated against is what an image with all groups would have."""
    packs = {pack.name for pack in read_pinned_packs((ROOT / "comfyui_nodes.txt").read_text("utf-8"))}
    catalog = Catalog.bundled()
    modules = {catalog[name].pack for name in catalog}
    assert {f"custom_nodes.{pack}" for pack in packs} <= modules
