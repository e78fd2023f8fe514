"""What the files in `locks/` look like: pure text."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from worker.errors import LockError
from worker.node_packs.pins import Pins

COMFYUI_LOCK = "comfyui.lock"
TORCH_LOCK = "torch.lock"
CONSTRAINTS = "constraints.txt"

LINUX = "platform_machine == 'x86_64' and sys_platform == 'linux'"
"""What every line of a resolution for one platform is marked with: said once, in the head."""

TORCH = re.compile(r"(torch|torchvision|torchaudio|triton)$|(nvidia|cuda)-")
ENTRY = re.compile(r"(?P<name>[a-z0-9][a-z0-9.-]*)==(?P<version>\S+)(?: ; (?P<marker>.*))?")
HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class LockEntry:
    """One package: its line without hashes, and the hashes."""

    name: str
    version: str
    marker: str
    hashes: tuple[str, ...]

    @property
    def is_torch(self) -> bool:
        """Of those that a GPU needs, and that an image may take from elsewhere."""
        return TORCH.match(self.name) is not None

    @property
    def text(self) -> str:
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n    ".join((f"{self.name}=={self.version}{marker}", *self.hashes))


def group_lock(group: str) -> str:
    """The file of what a group needs besides `comfyui.lock`."""
    return f"comfyui-{group}.lock"


def read_entries(text: str) -> tuple[LockEntry, ...]:
    """Of a file, or of what uv wrote. Raises LockError for a line that another machine could not use."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return tuple(map(_entry, _joined(lines)))


def _joined(lines: Iterable[str]) -> Iterator[list[str]]:
    """A package's line with those of its hashes."""
    together: list[str] = []
    for line in lines:
        together.append(line.strip().removesuffix("\\").strip())
        if not line.rstrip().endswith("\\"):
            yield together
            together = []


def _entry(lines: list[str]) -> LockEntry:
    found = ENTRY.fullmatch(lines[0])
    if found is None:
        raise LockError(f"{lines[0]!r} is no version of a package from an index")
    if "+" in found["version"]:
        raise LockError(f"{lines[0]}: a local version is on no public index")
    if len(lines) == 1 or not all(HASH.fullmatch(line) for line in lines[1:]):
        raise LockError(f"{lines[0]} has no hash")
    return LockEntry(found["name"], found["version"], _without_platform(found["marker"] or ""), tuple(lines[1:]))


def _without_platform(marker: str) -> str:
    return "" if marker == LINUX else marker.removesuffix(f" and {LINUX}")


MADE_BY = "# Made by `comfy-worker nodes lock`; do not edit. For Linux on x86_64, Python 3.11 and newer.\n"


def lock_header(pins: Pins, constraints: str) -> str:
    """What a lock is of: it is up to date while it begins with this."""
    print_of = hashlib.sha256("\n".join(_said(constraints)).encode()).hexdigest()[:16]
    packs = "".join(f"#   {pack.name} {pack.commit} {pack.group}\n" for pack in (pins.comfyui, *pins.packs))
    return f"{MADE_BY}# Resolved together, under {CONSTRAINTS} ({print_of}):\n{packs}"


def _said(text: str) -> Iterator[str]:
    """Without comments: they change nothing."""
    return filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))


def lock_files(base: tuple[LockEntry, ...], groups: Mapping[str, tuple[LockEntry, ...]], start: str) -> dict[str, str]:
    """The files by name: torch and what comes with it apart, and each group without what `base` has already.

    Torch's names no pins: it has to stay the same file, and so the same layer of an image, while they change.
    """
    torch = {entry: None for found in (base, *groups.values()) for entry in found if entry.is_torch}
    written = {
        COMFYUI_LOCK: (entry for entry in base if not entry.is_torch),
        TORCH_LOCK: sorted(torch, key=lambda entry: entry.name),
    }
    for group, found in groups.items():
        written[group_lock(group)] = (entry for entry in found if entry not in base and not entry.is_torch)
    starts = {TORCH_LOCK: MADE_BY}
    return {
        name: "".join([starts.get(name, start), *(f"{entry.text}\n" for entry in found)])
        for name, found in written.items()
    }


def stale_locks(found: Mapping[str, str], pins: Pins, constraints: str) -> Iterator[str]:
    """A sentence for each file that is missing, or of other pins than these."""
    start = lock_header(pins, constraints)
    for name in (COMFYUI_LOCK, TORCH_LOCK, *(group_lock(group) for group in pins.groups[1:])):
        if name not in found:
            yield f"{name} is missing"
        elif name != TORCH_LOCK and not found[name].startswith(start):
            yield f"{name} is not of these pins and constraints"
