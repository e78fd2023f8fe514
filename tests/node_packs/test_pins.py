"""Reading `comfyui_nodes.txt`."""

from __future__ import annotations

import gzip
import hashlib
from pathlib import Path

import orjson
import pytest

from worker.node_packs.pins import PacksError, PinnedPack, read_pins
from worker.workflow.catalog.catalog import BUNDLED, MADE_FROM, Catalog

ROOT = Path(__file__).parents[2]
COMMIT = "0123456789abcdef0123456789abcdef01234567"
HEAD = f"ComfyUI https://x.org/c/ComfyUI@{COMMIT}\n"
OURS = read_pins((ROOT / "comfyui_nodes.txt").read_text("utf-8"))


def test_a_line_is_a_pack() -> None:
    """Columns, comments, blank lines and quoted names are parsed."""
    text = f"""# head
ComfyUI  https://x.org/c/ComfyUI@{COMMIT}   # v1

One      https://x.org/a/One.git@{COMMIT}
Two\tssh://git@x.org:22/b/Two@{COMMIT} more needs="A b,C"  gpu-import writes=a.json,cfg/b.json without=eg,docs/a.png
"""
    pins = read_pins(text)
    assert pins.comfyui == PinnedPack("ComfyUI", "https://x.org/c/ComfyUI", COMMIT)
    assert pins.packs == (
        PinnedPack("One", "https://x.org/a/One.git", COMMIT, "base"),
        PinnedPack(
            "Two",
            *("ssh://git@x.org:22/b/Two", COMMIT, "more"),
            needs=("A b", "C"),
            gpu_import=True,
            writes=("a.json", "cfg/b.json"),
            without=("eg", "docs/a.png"),
        ),
    )


def test_a_group_is_chosen_on_top_of_the_base() -> None:
    """Packs of `base` are always chosen, and an unknown group is an error."""
    pins = read_pins(f"{HEAD}One https://x.org/One@{COMMIT}\nTwo https://x.org/Two@{COMMIT} more\n")
    assert [pack.name for pack in pins.packs_in_groups(())] == ["One"]
    assert [pack.name for pack in pins.packs_in_groups(["more"])] == ["One", "Two"]
    with pytest.raises(PacksError, match=r"there is no group 'mor'\. The groups: base, more"):
        pins.packs_in_groups(["mor"])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("One", "'One' is not GIT-URL@COMMIT"),
        ("One https://x.org/a/One", "with the whole commit"),
        ("One https://x.org/a/One@main", "with the whole commit"),
        (f"One x.org/a@{COMMIT}", "with the whole commit"),
        (f"https://x.org/a/One@{COMMIT}", "cannot be the name of a folder"),
        (f"../One https://x.org/a/One@{COMMIT}", "cannot be the name of a folder"),
        (f".One https://x.org/a/One@{COMMIT}", "cannot be the name of a folder"),
        (f"One.disabled https://x.org/a/One@{COMMIT}", "cannot be the name of a folder"),
        (f"One https://me:secret@x.org/a/One@{COMMIT}", "has a password"),
        (f"One https://x.org/a/One@{COMMIT} more and", "'and' is unknown"),
        (f"One https://x.org/a/One@{COMMIT} Need=A", "'Need=A' is unknown"),
        (f"One https://x.org/a/One@{COMMIT} needs=A,", "empty name"),
        (f'One https://x.org/a/One@{COMMIT} needs="A', "quotation mark"),
        (f"One https://x.org/a/One@{COMMIT} without=", "empty name"),
        (f"One https://x.org/a/One@{COMMIT} without=/etc", "not a path inside the pack"),
        (f"One https://x.org/a/One@{COMMIT} without=a/../..", "not a path inside the pack"),
        (f"One https://x.org/a/One@{COMMIT} without=.", "not a path inside the pack"),
        (f"One https://x.org/a/One@{COMMIT} writes=../a", "not a path inside the pack"),
        (f"One https://x.org/a/One@{COMMIT} writes=/etc/a", "not a path inside the pack"),
        (f"comfyui https://x.org/a/One@{COMMIT}", "has two lines"),
    ],
)
def test_an_invalid_line_is_rejected(line: str, said: str) -> None:
    """An invalid line is rejected with its number and the right form."""
    with pytest.raises(PacksError, match=f"line 2: .*{said}"):
        read_pins(f"{HEAD}{line}\n")


def test_comfyui_has_to_be_pinned() -> None:
    """A file without ComfyUI is rejected."""
    with pytest.raises(PacksError, match="ComfyUI itself is not pinned"):
        read_pins(f"One https://x.org/a/One@{COMMIT}\n")


def test_the_bundled_catalog_has_the_classes_of_every_pack() -> None:
    """The bundled catalog has all needed classes of every pack."""
    catalog = Catalog.bundled()
    for pack in OURS.packs:
        assert {catalog[name].pack for name in pack.needs} == {f"custom_nodes.{pack.name}"}


def test_the_bundled_catalog_is_of_the_pinned_commits() -> None:
    """The bundled catalog was made for the pinned commits."""
    data = ROOT / "worker" / "workflow" / "catalog" / "data"
    made_from = orjson.loads((data / MADE_FROM).read_bytes())
    pinned = {pack.name: pack.commit for pack in (OURS.comfyui, *OURS.packs)}
    assert made_from["commits"] == pinned
    assert made_from["sha256"] == hashlib.sha256(gzip.decompress((data / BUNDLED).read_bytes())).hexdigest()
