"""`comfyui_nodes.txt`: ComfyUI and its node packs, each pinned to a commit.

It uses only the standard library, because an image's build reads the file before any package is installed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMFYUI = "ComfyUI"
"""The name of the line that pins ComfyUI itself."""

BASE = "base"
"""The group whose packs are in every image."""

SHAPE = "NAME  GIT-URL@COMMIT  [GROUP]  [needs=CLASS,CLASS]  [writes=FILE,FILE]  [without=PATH,PATH]  [gpu-import]"
GPU_IMPORT = "gpu-import"
NEEDS, WRITES, WITHOUT = "needs=", "writes=", "without="

# A folder in custom_nodes; ComfyUI skips one that ends with .disabled.
NAME = re.compile(r"(?!.*\.disabled$)[A-Za-z0-9][A-Za-z0-9._-]*")
SOURCE = re.compile(r"(?P<url>(?:https?|ssh|git|file)://\S+)@(?P<commit>[0-9a-f]{40})")
PASSWORD = re.compile(r"\w+://[^/@]*:[^/@]*@")
GROUP = re.compile(r"[a-z0-9][a-z0-9-]*")
COMMENT = re.compile(r"(^|\s)#.*")
PATH = re.compile(r"(?!\.{1,2}(/|$))[^/\\]+(/(?!\.{1,2}(/|$))[^/\\]+)*")


class PacksError(ValueError):
    """The file is invalid; the message names the line and what to write instead."""


@dataclass(frozen=True, slots=True)
class PinnedPack:
    """One node pack, or ComfyUI itself.

    `name` is the name of its folder. `needs` are node classes that a running ComfyUI must have.
    """

    name: str
    url: str
    commit: str
    group: str = BASE
    needs: tuple[str, ...] = ()
    gpu_import: bool = False
    """Whether the pack cannot be imported without a GPU, so that the build of an image cannot verify it."""
    writes: tuple[str, ...] = ()
    """Files in its folder that the pack writes when it is imported. A read-only image stores them elsewhere."""
    without: tuple[str, ...] = ()
    """Folders and files of the pack that an image leaves out, such as 200 MB of images in its examples."""


@dataclass(frozen=True, slots=True)
class Pins:
    """The whole file, in its order."""

    comfyui: PinnedPack
    packs: tuple[PinnedPack, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        """Names of all groups, with `base` first."""
        return tuple(dict.fromkeys((BASE, *(pack.group for pack in self.packs))))

    def packs_in_groups(self, groups: Iterable[str]) -> tuple[PinnedPack, ...]:
        """Return the packs of these groups and of `base`. Raises PacksError for a group without packs."""
        chosen = {BASE, *groups}
        if unknown := sorted(chosen.difference(self.groups)):
            raise PacksError(f"there is no group {unknown[0]!r}. The groups: {', '.join(self.groups)}")
        return tuple(pack for pack in self.packs if pack.group in chosen)


def read_pins(text: str) -> Pins:
    """Return the pins in the text of comfyui_nodes.txt.

    Raises PacksError, which names the invalid line, or when ComfyUI itself is not pinned.
    """
    packs: dict[str, PinnedPack] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            pack = read_line(line)
            if pack is not None and pack.name.lower() in packs:
                raise PacksError(f"{pack.name} has two lines; remove one of them")
        except PacksError as error:
            raise PacksError(f"line {number}: {error}") from error
        if pack is not None:
            packs[pack.name.lower()] = pack
    comfyui = packs.pop(COMFYUI.lower(), None)
    if comfyui is None:
        raise PacksError(f"ComfyUI itself is not pinned; add a line: {COMFYUI}  GIT-URL@COMMIT")
    return Pins(comfyui, tuple(packs.values()))


def read_line(line: str) -> PinnedPack | None:
    """Return the pack in a line, or None for a blank line or a comment.

    Raises PacksError when the line is invalid. Its message has no line number.
    """
    words = _words(COMMENT.sub("", line))
    if not words:
        return None
    name = words[0]
    source = words[1] if len(words) > 1 else ""
    if not NAME.fullmatch(name):
        raise PacksError(f"{name!r} cannot be the name of a folder; write {SHAPE}")
    match = SOURCE.fullmatch(source)
    if match is None:
        raise PacksError(f"{source or name!r} is not GIT-URL@COMMIT with the whole commit; write {SHAPE}")
    if PASSWORD.match(source):
        raise PacksError(f"the URL of {name} has a password; remove it, and git will use its credential helper")
    return PinnedPack(name, match["url"], match["commit"], *_options(words[2:]))


def _words(line: str) -> list[str]:
    """Return the words of a line, which is split as in a shell, because names of classes may have blanks in quotes.

    Raises PacksError when a quotation mark is not closed.
    """
    try:
        return shlex.split(line)
    except ValueError as error:
        raise PacksError(f"a quotation mark is not closed; write {SHAPE}") from error


def _options(words: Iterable[str]) -> tuple[str, tuple[str, ...], bool, tuple[str, ...], tuple[str, ...]]:
    """Return the group, `needs`, `gpu_import`, `writes` and `without` from the words after the source.

    This is the order of the fields of PinnedPack after `commit`. Raises PacksError for an invalid word.
    """
    group, gpu_import = "", False
    lists: dict[str, tuple[str, ...]] = {NEEDS: (), WRITES: (), WITHOUT: ()}
    for word in words:
        key = f"{word.partition('=')[0]}="
        if word == GPU_IMPORT:
            gpu_import = True
        elif key in lists:
            lists[key] = tuple(_names(word, key))
        elif GROUP.fullmatch(word) and not group:
            group = word
        else:
            raise PacksError(f"{word!r} is unknown; write {SHAPE}")
    for key in (WRITES, WITHOUT):
        if outside := [name for name in lists[key] if not PATH.fullmatch(name)]:
            raise PacksError(f"{key}{outside[0]} is not a path inside the pack; write it relative to the pack's folder")
    return group or BASE, lists[NEEDS], gpu_import, lists[WRITES], lists[WITHOUT]


def _names(word: str, key: str) -> Iterator[str]:
    """Yield the names in a word such as `needs=A,B`. Raises PacksError for an empty name."""
    for name in word.removeprefix(key).split(","):
        if not name.strip():
            raise PacksError(f'{word!r} has an empty name; write {key}One,Other or {key}"One,With Blanks"')
        yield name.strip()
