"""The text of lock files."""

from __future__ import annotations

import re

import pytest

from tests.cli.terminal import ROOT
from worker.errors import LockError
from worker.node_packs.lockfile import LINUX, lock_files, lock_header, read_entries, stale_locks
from worker.node_packs.pins import read_pins

HASH = f"--hash=sha256:{'0' * 64}"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
PINS = read_pins(f"ComfyUI https://x.org/c/ComfyUI@{COMMIT}\nOne https://x.org/One@{COMMIT} more\n")
OURS = {path.name: path.read_text("utf-8") for path in (ROOT / "locks").iterdir()}


def test_what_uv_writes_is_read_and_written_again() -> None:
    """Entries keep their hashes and markers, without the marker of the platform."""
    text = f"a==1 ; {LINUX} \\\n    {HASH} \\\n    {HASH}\n"
    text += f"b==2.0 ; python_full_version < '3.12' and {LINUX} \\\n    {HASH}\n"
    first, second = read_entries(text)
    assert first.text == f"a==1 \\\n    {HASH} \\\n    {HASH}"
    assert second.text == f"b==2.0 ; python_full_version < '3.12' \\\n    {HASH}"
    assert read_entries(f"# said\n{first.text}\n{second.text}\n") == (first, second)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f"a @ file:///wheels/a.whl \\\n    {HASH}", "not a pinned version of a package from an index"),
        (f"a @ git+https://x.org/a \\\n    {HASH}", "not a pinned version of a package from an index"),
        (f"--index-url https://x.org \\\n    {HASH}", "not a pinned version of a package from an index"),
        (f"torch==2.11.0+cpu \\\n    {HASH}", "a local version is not on any public index"),
        ("a==1", "has no hash"),
        (f"a==1 \\\n    {HASH} \\\n    --hash=md5:0", "has no hash"),
    ],
)
def test_a_line_that_only_this_machine_could_use_is_refused(text: str, said: str) -> None:
    """Paths, indexes and local builds are rejected."""
    with pytest.raises(LockError, match=said):
        read_entries(text)


def test_torch_and_groups_have_files_of_their_own() -> None:
    """Torch and each group have their own files."""
    names = ("a", "torch", "torchsde", "nvidia-nccl-cu13", "cuda-toolkit", "triton")
    base = read_entries("".join(f"{name}==1 \\\n    {HASH}\n" for name in names))
    more = (*base, *read_entries(f"b==1 \\\n    {HASH}\n"))
    found = lock_files(base, {"more": more}, "# head\n")
    assert {name: re.findall(r"^([\w-]+)==", text, re.MULTILINE) for name, text in found.items()} == {
        "comfyui.lock": ["a", "torchsde"],
        "torch.lock": ["cuda-toolkit", "nvidia-nccl-cu13", "torch", "triton"],
        "comfyui-more.lock": ["b"],
    }
    assert {name for name, text in found.items() if text.startswith("# head\n")} == {
        "comfyui.lock",
        "comfyui-more.lock",
    }


def test_torch_stays_the_same_file_while_packs_change() -> None:
    """The file of torch does not depend on the pins."""
    base = read_entries(f"torch==1 \\\n    {HASH}\n")
    assert lock_files(base, {}, "# these pins\n")["torch.lock"] == lock_files(base, {}, "# other pins\n")["torch.lock"]


def test_a_lock_of_other_pins_is_stale() -> None:
    """A lock is stale for other commits or constraints, but not for other comments."""
    names = ("comfyui.lock", "torch.lock", "comfyui-more.lock")
    made = {name: f"{lock_header(PINS, 'torch==2')}a==1" for name in names}
    assert list(stale_locks(made, PINS, "# why\ntorch==2  # so\n")) == []
    assert list(stale_locks({}, PINS, "torch==2")) == [f"{name} is missing" for name in names]
    assert len(list(stale_locks(made, PINS, "torch==3"))) == 2
    moved = read_pins(f"ComfyUI https://x.org/c/ComfyUI@{COMMIT}\nOne https://x.org/One@{COMMIT[::-1]} more\n")
    assert next(stale_locks(made, moved, "torch==2")) == "comfyui.lock was made for other pins or constraints"


def test_our_locks_are_of_our_pins() -> None:
    """The locks in the repository fit its pins, and any machine can use them."""
    pins = read_pins((ROOT / "comfyui_nodes.txt").read_text("utf-8"))
    assert list(stale_locks(OURS, pins, OURS["constraints.txt"])) == []
    found = {name: {entry.name for entry in read_entries(OURS[name])} for name in OURS if name.endswith(".lock")}
    assert {"torch", "torchvision", "torchaudio", "triton"} <= found["torch.lock"]
    assert {"opencv-python-headless", "matplotlib", "transformers", "comfyui-frontend-package"} <= found["comfyui.lock"]
    assert not {name for name in found["comfyui.lock"] if name.startswith(("nvidia-", "cuda-"))}
    assert "insightface" in found["comfyui-instantid.lock"]
