"""The policy of an engine's sandbox: plain data that the launcher applies."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from pathlib import Path


@dataclass(frozen=True, slots=True)
class SandboxPolicy:
    """What an engine may access.

    Everything else is denied where the kernel has Landlock. A path includes what is below it.

    `names` are folders whose entries may be listed, but whose files cannot be read.

    `read` are files that may be read, and programs that may be started.

    `inputs` are folders that may be read, and in which folders may be created. Their files are hard links to the
    worker's copies, so a job that wrote to one would change the input of other jobs.

    `write` are folders that the worker reads as well. They accept files and folders, but no symbolic links, pipes or
    sockets. A link could make the worker read another file.

    `private` are folders that only the engine reads. They accept sockets, too, and their programs may be started.

    `devices` are device files, and folders of them.

    `tcp` are the ports for listening and connecting, or None for any.
    """

    read: tuple[Path, ...] = ()
    inputs: tuple[Path, ...] = ()
    write: tuple[Path, ...] = ()
    private: tuple[Path, ...] = ()
    devices: tuple[Path, ...] = ()
    names: tuple[Path, ...] = ()
    tcp: tuple[int, ...] | None = None
    landlock: bool = True
    """False where the kernel has no Landlock. Then only capabilities and descriptors are dropped."""

    def as_json(self) -> bytes:
        """Return the policy as JSON for the launcher."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return json.dumps(values, default=str).encode()


def exclude(paths: Iterable[Path], hidden: Collection[Path]) -> tuple[list[Path], list[Path]]:
    """Return two lists: the paths that may be read, without the `hidden` ones, and the folders that may only be listed.

    Landlock rules only add rights. A folder that contains a hidden path is replaced by its other children, and stays
    listed, because Python imports only from folders that it can list. Links are left out, because their targets are
    added separately.
    """
    allowed: list[Path] = []
    listed: list[Path] = []
    for path in paths:
        if path in hidden:
            continue
        if not any(hidden_path.is_relative_to(path) for hidden_path in hidden):
            allowed.append(path)
            continue
        listed.append(path)
        allowed_children, listed_children = exclude(_children(path), hidden)
        allowed += allowed_children
        listed += listed_children
    return allowed, listed


def _children(folder: Path) -> list[Path]:
    """Return the entries of a folder that are not links, or nothing if it cannot be read."""
    try:
        return [child for child in folder.iterdir() if not child.is_symlink()]
    except OSError:
        return []
