"""What one engine may reach: plain data that the launcher applies."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """Everything that is not listed is denied, where the kernel has Landlock. A path stands for all that is below it.

    names: folders whose names may be listed, and no file of them read.
    read: files that may be read, and programs that may be started.
    inputs: folders that may be read, and in which folders may be made. Their files are hard links of the worker's own
    copies: a job that wrote to one would change what another job gets for the same URL.
    write: folders that the worker reads too. They take files and folders, and no symbolic links, pipes or sockets: by
    a link a job could have the worker read another file.
    private: folders that nothing but the engine reads. They take sockets as well, and programs in them may be started.
    devices: device files, and folders of them.
    tcp: the ports that may be listened on and connected to; None leaves TCP as it is.
    """

    read: tuple[Path, ...] = ()
    inputs: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    private: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    names: tuple[Path, ...] = ()
    tcp: tuple[int, ...] | None = None
    landlock: bool = True
    """False where the kernel has none: then capabilities and descriptors are dropped, and that is all."""

    def as_json(self) -> bytes:
        """For the launcher."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, default=str).encode()


def exclude(paths: Iterable[Path], hidden: Collection[Path]) -> tuple[list[Path], list[Path]]:
    """Return `paths` without the `hidden` ones: what may be read, and the folders of which only names may be listed.

    Landlock can only add: a folder that holds a hidden one is replaced by its other children, and its names stay
    listed, as Python finds no module in a folder that it can't list. A path that is named inside of it stays.
    Links are left out: their targets are found apart.
    """
    allowed: list[Path] = []
    listed: list[Path] = []
    for path in paths:
        if path in hidden:
            continue
        if not any(one.is_relative_to(path) for one in hidden):
            allowed.append(path)
            continue
        listed.append(path)
        more, names = exclude(_children(path), hidden)
        allowed += more
        listed += names
    return allowed, listed


def _children(folder: Path) -> list[Path]:
    try:
        return [child for child in folder.iterdir() if not child.is_symlink()]
    except OSError:
        return []
