"""`comfyui_nodes.txt`: ComfyUI and its node packs, each pinned to a commit.

Standard library only, and nothing else of ours: an image's build reads the file before anything is installed.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

COMFYUI = "ComfyUI"
"""The name of the line that pins ComfyUI itself."""

BASE = "base"
"""The group of the packs that are in every image."""

SHAPE = "NAME  GIT-URL@COMMIT  [GROUP]  [needs=CLASS,CLASS]  [writes=FILE,FILE]  [without=PATH,PATH]  [gpu-import]"
GPU_IMPORT = "gpu-import"
NEEDS, WRITES, WITHOUT = "needs=", "writes=", "without="

# A folder in custom_nodes; ComfyUI skips one that ends with .disabled.
NAME = re.compile(r"(?!.*\.disabled$)[A-Za-z0-9][A-Za-z0-9._-]*")
SOURCE = re.compile(r"(?P<url>(?:https?|ssh|git|file)://\S+)@(?P<commit>[0-9a-f]{40})")
PASSWORD = re.compile(r"\w+://[^/@]*:[^/@]*@")
GROUP = re.compile(r"[a-z0-9][a-z0-9-]*")
COMMENT = re.compile(r"(^|\s)#.*")
PLACE = re.compile(r"(?!\.{1,2}(/|$))[^/\\]+(/(?!\.{1,2}(/|$))[^/\\]+)*")


class PacksError(ValueError):
    """The file can't be read as it stands; says in which line, and what to write instead."""


@dataclass(frozen=True, slots=True)
class PinnedPack:
    """One node pack, or ComfyUI: `name` is its folder, `needs` are classes that a running ComfyUI has to offer."""

    name: str
    url: str
    commit: str
    group: str = BASE
    needs: tuple[str, ...] = ()
    gpu_import: bool = False
    """It can't be imported without a GPU, so that the build of an image proves nothing about it."""
    writes: tuple[str, ...] = ()
    """Files in its folder that it writes when it is imported: an image, which is read-only, keeps them elsewhere."""
    without: tuple[str, ...] = ()
    """Folders and files of it that an image does better without, as 200 MB of pictures in its examples."""


@dataclass(frozen=True, slots=True)
class Pins:
    """The whole file, in its order."""

    comfyui: PinnedPack
    packs: tuple[PinnedPack, ...]

    @property
    def groups(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys((BASE, *(pack.group for pack in self.packs))))

    def chosen(self, groups: Iterable[str]) -> tuple[PinnedPack, ...]:
        """The packs of these groups and of `base`. Raises PacksError for a group that no pack is in."""
        wanted = {BASE, *groups}
        if unknown := sorted(wanted.difference(self.groups)):
            raise PacksError(f"there is no group {unknown[0]!r}; there are {', '.join(self.groups)}")
        return tuple(pack for pack in self.packs if pack.group in wanted)


def read_pins(text: str) -> Pins:
    """Raises PacksError."""
    found: dict[str, PinnedPack] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        try:
            pack = read_line(line)
            if pack is not None and pack.name.lower() in found:
                raise PacksError(f"{pack.name} is there already; take one of the two lines out")
        except PacksError as error:
            raise PacksError(f"line {number}: {error}") from error
        if pack is not None:
            found[pack.name.lower()] = pack
    comfyui = found.pop(COMFYUI.lower(), None)
    if comfyui is None:
        raise PacksError(f"ComfyUI itself is not pinned; add a line: {COMFYUI}  GIT-URL@COMMIT")
    return Pins(comfyui, tuple(found.values()))


def read_line(line: str) -> PinnedPack | None:
    """None for a blank line and a comment. Raises PacksError without the line's number."""
    words = _words(COMMENT.sub("", line))
    if not words:
        return None
    name, source, *rest = [*words, ""] if len(words) == 1 else words
    if not NAME.fullmatch(name):
        raise PacksError(f"{name!r} can't be a folder's name; write {SHAPE}")
    found = SOURCE.fullmatch(source)
    if found is None:
        raise PacksError(f"write {SHAPE} with the whole commit, not {source or 'a name alone'!r}")
    if PASSWORD.match(source):
        raise PacksError(f"the URL of {name} carries a password; leave it out, git asks its credential helper")
    return PinnedPack(name, found["url"], found["commit"], *_rest(rest))


def _words(line: str) -> list[str]:
    """By white space, quotes as in a shell: names of classes may have blanks."""
    try:
        return shlex.split(line)
    except ValueError as error:
        raise PacksError(f"a quotation mark is left open; write {SHAPE}") from error


def _rest(words: Iterable[str]) -> tuple[str, tuple[str, ...], bool, tuple[str, ...], tuple[str, ...]]:
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
            raise PacksError(f"{word!r} is not understood; write {SHAPE}")
    for key in (WRITES, WITHOUT):
        if outside := [name for name in lists[key] if not PLACE.fullmatch(name)]:
            raise PacksError(f"{key}{outside[0]} is no path inside the pack; write it as it is seen from its folder")
    return group or BASE, lists[NEEDS], gpu_import, lists[WRITES], lists[WITHOUT]


def _names(word: str, key: str) -> Iterator[str]:
    for name in word.removeprefix(key).split(","):
        if not name.strip():
            raise PacksError(f'{word!r} has an empty name; write {key}One,Other or {key}"One,With Blanks"')
        yield name.strip()
