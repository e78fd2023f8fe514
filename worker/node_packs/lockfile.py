"""The format of the files in `locks/`. There is no I/O."""

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
"""The marker of every line in a resolution for one platform. It is left out, because the header names the platform."""

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
        """Whether the package belongs to torch or CUDA, which an image may install from another index."""
        return TORCH.match(self.name) is not None

    @property
    def text(self) -> str:
        """The entry as lines of a lock file."""
        marker = f" ; {self.marker}" if self.marker else ""
        return " \\\n    ".join((f"{self.name}=={self.version}{marker}", *self.hashes))


def group_lock(group: str) -> str:
    """Return the name of the file with the packages that a group needs besides `comfyui.lock`."""
    return f"comfyui-{group}.lock"


def read_entries(text: str) -> tuple[LockEntry, ...]:
    """Return the entries of a lock file or of uv's output. Raises LockError for an entry that is not reproducible."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    return tuple(map(_entry, _grouped(lines)))


def _grouped(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines of each package, stripped. A line that continues in the next one ends with a backslash."""
    group: list[str] = []
    for line in lines:
        group.append(line.strip().removesuffix("\\").strip())
        if not line.rstrip().endswith("\\"):
            yield group
            group = []


def _entry(lines: list[str]) -> LockEntry:
    """Return the entry in the lines of one package: its version, and then its hashes.

    Raises LockError when the package cannot be installed reproducibly.
    """
    match = ENTRY.fullmatch(lines[0])
    if match is None:
        raise LockError(f"{lines[0]!r} is not a pinned version of a package from an index")
    if "+" in match["version"]:
        raise LockError(f"{lines[0]}: a local version is not on any public index")
    if len(lines) == 1 or not all(HASH.fullmatch(line) for line in lines[1:]):
        raise LockError(f"{lines[0]} has no hash")
    return LockEntry(match["name"], match["version"], _without_platform(match["marker"] or ""), tuple(lines[1:]))


def _without_platform(marker: str) -> str:
    """Return a marker without its condition for Linux on x86_64, which the header of a lock states."""
    return "" if marker == LINUX else marker.removesuffix(f" and {LINUX}")


MADE_BY = "# Made by `comfy-worker nodes lock`; do not edit. For Linux on x86_64, Python 3.11 and newer.\n"


def lock_header(pins: Pins, constraints: str) -> str:
    """Return the header of a lock: comments with the pins and a hash of the constraints.

    A lock that starts with another header is out of date.
    """
    fingerprint = hashlib.sha256("\n".join(_without_comments(constraints)).encode()).hexdigest()[:16]
    packs = "".join(f"#   {pack.name} {pack.commit} {pack.group}\n" for pack in (pins.comfyui, *pins.packs))
    return f"{MADE_BY}# Resolved together, under {CONSTRAINTS} ({fingerprint}):\n{packs}"


def _without_comments(text: str) -> Iterator[str]:
    """Yield the lines of a text without comments and blank lines, which do not affect the locks."""
    return filter(None, (line.partition("#")[0].strip() for line in text.splitlines()))


def lock_files(base: tuple[LockEntry, ...], groups: Mapping[str, tuple[LockEntry, ...]], header: str) -> dict[str, str]:
    """Return the texts of the lock files by name.

    `base` has the entries of every image, and `groups` those of an image with one more group. A group's file leaves out
    the entries of `base`. Torch and CUDA have their own file. The header of that file has no pins, so that the file,
    and with it a layer of the image, does not change with the pins.
    """
    all_entries = dict.fromkeys(entry for entries in (base, *groups.values()) for entry in entries)  # each once
    files: dict[str, list[LockEntry]] = {
        COMFYUI_LOCK: [entry for entry in base if not entry.is_torch],
        TORCH_LOCK: sorted((entry for entry in all_entries if entry.is_torch), key=lambda entry: entry.name),
    }
    for group, entries in groups.items():
        files[group_lock(group)] = [entry for entry in entries if entry not in base and not entry.is_torch]
    texts = {name: "".join(f"{entry.text}\n" for entry in entries) for name, entries in files.items()}
    return {name: (MADE_BY if name == TORCH_LOCK else header) + text for name, text in texts.items()}


def stale_locks(locks: Mapping[str, str], pins: Pins, constraints: str) -> Iterator[str]:
    """Yield a sentence for each lock file that is missing or was made for other pins or constraints.

    `locks` are the texts of the present files by name. Torch's file is only checked for existence, as it has no pins.
    """
    header = lock_header(pins, constraints)
    for name in (COMFYUI_LOCK, TORCH_LOCK, *(group_lock(group) for group in pins.groups[1:])):
        if name not in locks:
            yield f"{name} is missing"
        elif name != TORCH_LOCK and not locks[name].startswith(header):
            yield f"{name} was made for other pins or constraints"
