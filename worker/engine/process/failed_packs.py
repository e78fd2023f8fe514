"""Node packs that a ComfyUI could not import at its last start, by its log, and the classes that belong to them."""

from __future__ import annotations

import asyncio
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from worker.engine.process.import_log import read_imports
from worker.errors import Detail
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.catalog.provider import PackIds, pack_ids
from worker.workflow.validation.explain import Problem

START = b"--- the worker starts this engine ---\n"
"""What the worker writes into an engine's log before each start."""
MOST_LOG = 8 * 1024 * 1024
"""Bytes of the log that are read: all imports stand at its beginning."""
MOST_FILES, MOST_SOURCE = 4000, 1024 * 1024
"""Python files of one pack that are searched for a class, and the largest of them in bytes."""
MOST_CLASSES = 50
"""Classes of one workflow that are searched for: each takes a pass over all these files."""
SEPARATOR = re.compile(r"[\s_.-]+")
PROJECT = "pyproject.toml"
LONGEST_REASON = 300
REPAIR = "Repair the pack on the worker and start ComfyUI again; its log has the traceback."
DENIED = re.compile(r"PermissionError|Permission denied|Errno 13|Read-only file system")
DENIED_CURE = (
    "If the pack makes files in its own folder, start ComfyUI once with WORKER_SANDBOX=off; if it needs a folder,"
    " name that in WORKER_SANDBOX_READ or WORKER_SANDBOX_WRITE (docs/security.md)."
)

Item = TypeVar("Item", Problem, Detail)


class PackStage(StrEnum):
    """Where a pack failed. After a failed prestartup script ComfyUI imports the pack all the same."""

    IMPORT = "import"
    PRESTARTUP = "prestartup"


@dataclass(frozen=True, slots=True)
class FailedPack:
    """A node pack by the name of its folder or file. `path` is None for a file of ComfyUI's own nodes."""

    name: str
    reason: str
    stage: PackStage = PackStage.IMPORT
    path: Path | None = None

    @property
    def cure(self) -> str:
        """What the operator can do."""
        return DENIED_CURE if DENIED.search(self.reason) else REPAIR

    def as_dict(self) -> dict[str, str]:
        """For `GET /capabilities`."""
        return {"name": self.name, "stage": self.stage.value, "reason": self.reason}

    def __str__(self) -> str:
        failed = "failed to import" if self.stage is PackStage.IMPORT else "has a prestartup script that failed"
        kind = "the node pack" if self.path else "ComfyUI's own"
        return f"{kind} {self.name} {failed}: {self.reason}"


def read_failed_packs(log: Path) -> tuple[FailedPack, ...]:
    """Return what failed at the last start that the log of an engine has; nothing where it can't be read."""
    try:
        data = log.read_bytes()
    except OSError:
        return ()
    imports = read_imports(data.rpartition(START)[2][:MOST_LOG].decode(errors="replace"))
    return tuple(
        FailedPack(
            found.name,
            (found.prestartup if found.imported else found.cause)[:LONGEST_REASON].rstrip(" :."),
            PackStage.PRESTARTUP if found.imported else PackStage.IMPORT,
            Path(found.path) if found.path else None,
        )
        for found in sorted(imports.values(), key=lambda item: item.name)
        if found.prestartup or not found.imported
    )


async def name_failed_packs(
    items: Sequence[Item], failed: Sequence[FailedPack], saved: object, missing: Callable[[Item], bool]
) -> tuple[Item, ...]:
    """Return the problems; those of `missing` classes say which pack failed to import, and why.

    `saved` is what the editor saved of the workflow: it names the packs of the nodes.
    """
    class_types = {item.class_type for item in items if item.class_type and missing(item)}
    if not class_types or not failed:
        return tuple(items)
    packs = pack_ids(saved)
    classes = {class_type: _names(class_type, packs) for class_type in class_types}
    owners = await asyncio.to_thread(find_packs, failed, classes)
    names = ", ".join(pack.name for pack in failed if pack.stage is PackStage.IMPORT)
    return tuple(
        _explained(item, owners.get(item.class_type or ""), names) if missing(item) else item for item in items
    )


def _names(class_type: str, packs: PackIds) -> list[str]:
    """Names of the pack of a class: of the workflow's file, and the last part of the module in the bundled catalog."""
    known = bundled_catalog()
    module = known[class_type].pack.rpartition(".")[2] if class_type in known else ""
    return [*(packs[class_type].names if class_type in packs else ()), *filter(None, [module])]


def _explained(item: Item, owner: FailedPack | None, failed: str) -> Item:
    """`failed` names all packs that failed, for a class of which no pack is known."""
    if owner is not None:
        return replace(item, message=f"{item.message.removesuffix('.')}: {owner}.", suggestion=owner.cure)
    if item.suggestion is None and failed:
        return replace(item, suggestion=f"Node packs that failed to import on this worker: {failed}.")
    return item


def find_packs(packs: Sequence[FailedPack], classes: Mapping[str, Collection[str]]) -> dict[str, FailedPack]:
    """Return the failed pack of each class for which one can be found. It reads the packs' files.

    `classes` has the names under which the pack of a class is known, of a workflow or of the bundled catalog. A pack
    without such a name is found by the class's name in its source: as a key or a `node_id`, else as any text, if no
    other failed pack has it.
    """
    failed = [pack for pack in packs if pack.stage is PackStage.IMPORT]
    found = {name: pack for name, known in classes.items() for pack in failed if _same(pack, known)}
    left = [name for name in classes if name not in found][:MOST_CLASSES]
    if not left:
        return found
    sources = [(pack, list(_sources(pack))) for pack in failed]
    for name in left:
        text = f"[\"']{re.escape(name)}[\"']"
        registers = re.compile(rf"{text}\s*:|\[\s*{text}\s*\]\s*=[^=]|node_id\s*=\s*{text}")
        mentions = re.compile(text)
        owners = [pack for pack, files in sources if any(map(registers.search, files))]
        owners = owners or [pack for pack, files in sources if any(map(mentions.search, files))]
        if len(owners) == 1:
            found[name] = owners[0]
    return found


def _same(pack: FailedPack, names: Iterable[str]) -> bool:
    """Compare with the pack's folder and with its id in ComfyUI's registry, which its project file has."""
    wanted = {_folded(name) for name in names}
    return bool(wanted) and not wanted.isdisjoint({_folded(pack.name.removesuffix(".py")), _folded(_project(pack))})


def _project(pack: FailedPack) -> str:
    try:
        found = tomllib.loads((pack.path / PROJECT).read_text("utf-8")) if pack.path else {}
        return str(found.get("project", {}).get("name", pack.name))
    except (OSError, ValueError, AttributeError):
        return pack.name


def _folded(name: str) -> str:
    return SEPARATOR.sub("", name).casefold()


def _sources(pack: FailedPack) -> Iterator[str]:
    """Yield the text of the pack's Python files."""
    if pack.path is None:
        return
    paths = [pack.path] if pack.path.is_file() else sorted(pack.path.rglob("*.py"))
    for path in paths[:MOST_FILES]:
        try:
            if path.stat().st_size <= MOST_SOURCE:
                yield path.read_text("utf-8", errors="replace")
        except OSError:
            continue
