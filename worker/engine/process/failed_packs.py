"""Node packs that ComfyUI could not import at its last start, read from its log, and the classes they provide."""

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
"""Line that the worker writes into an engine's log before each start."""
MOST_LOG = 8 * 1024 * 1024
"""Bytes of the log that are read. All imports are at its beginning."""
MOST_FILES, MOST_SOURCE = 4000, 1024 * 1024
"""Number of Python files of a pack that are searched for a class, and largest size of one in bytes."""
MOST_CLASSES = 50
"""Number of classes of one workflow that are searched for. Each takes a pass over all files."""
SEPARATOR = re.compile(r"[\s_.-]+")
PROJECT = "pyproject.toml"
LONGEST_REASON = 300
REPAIR = "Repair the pack on the worker and start ComfyUI again; its log has the traceback."
"""Advice for a pack that failed to import."""
DENIED = re.compile(r"PermissionError|Permission denied|Errno 13|Read-only file system")
"""Matches errors that the sandbox may have caused."""
DENIED_CURE = (
    "If the pack makes files in its own folder, start ComfyUI once with WORKER_SANDBOX=off; if it needs a folder,"
    " name that in WORKER_SANDBOX_READ or WORKER_SANDBOX_WRITE (docs/security.md)."
)

Item = TypeVar("Item", Problem, Detail)


class PackStage(StrEnum):
    """The step at which a pack failed. ComfyUI imports a pack even when its prestartup script has failed."""

    IMPORT = "import"
    PRESTARTUP = "prestartup"


@dataclass(frozen=True, slots=True)
class FailedPack:
    """A node pack that failed, by the name of its folder or file. `path` is None for ComfyUI's own nodes."""

    name: str
    reason: str
    stage: PackStage = PackStage.IMPORT
    path: Path | None = None

    @property
    def cure(self) -> str:
        """Advice for the operator."""
        return DENIED_CURE if DENIED.search(self.reason) else REPAIR

    def as_dict(self) -> dict[str, str]:
        """Return the pack's entry in `GET /capabilities`."""
        return {"name": self.name, "stage": self.stage.value, "reason": self.reason}

    def __str__(self) -> str:
        failed = "failed to import" if self.stage is PackStage.IMPORT else "has a prestartup script that failed"
        kind = "the node pack" if self.path else "ComfyUI's own"
        return f"{kind} {self.name} {failed}: {self.reason}"


def read_failed_packs(log: Path) -> tuple[FailedPack, ...]:
    """Return the packs that failed at the last start in an engine's log. An unreadable log has none."""
    try:
        data = log.read_bytes()
    except OSError:
        return ()
    imports = read_imports(data.rpartition(START)[2][:MOST_LOG].decode(errors="replace"))
    return tuple(
        FailedPack(
            imported_pack.name,
            (imported_pack.prestartup if imported_pack.imported else imported_pack.cause)[:LONGEST_REASON].rstrip(
                " :."
            ),
            PackStage.PRESTARTUP if imported_pack.imported else PackStage.IMPORT,
            Path(imported_pack.path) if imported_pack.path else None,
        )
        for imported_pack in sorted(imports.values(), key=lambda item: item.name)
        if imported_pack.prestartup or not imported_pack.imported
    )


async def name_failed_packs(
    items: Sequence[Item], failed: Sequence[FailedPack], saved: object, missing: Callable[[Item], bool]
) -> tuple[Item, ...]:
    """Return the problems, those of `missing` classes with the pack that failed to import and the reason.

    `saved` is the editor's file of the workflow, which names the packs of its nodes.
    """
    class_types = {item.class_type for item in items if item.class_type and missing(item)}
    if not class_types or not failed:
        return tuple(items)
    packs = pack_ids(saved)
    classes = {class_type: _pack_names(class_type, packs) for class_type in class_types}
    owners = await asyncio.to_thread(find_packs, failed, classes)
    names = ", ".join(pack.name for pack in failed if pack.stage is PackStage.IMPORT)
    return tuple(
        _with_reason(item, owners.get(item.class_type or ""), names) if missing(item) else item for item in items
    )


def _pack_names(class_type: str, packs: PackIds) -> list[str]:
    """Return the names of a class's pack: those in the workflow's file, and the one in the bundled catalog."""
    bundled = bundled_catalog()
    module = bundled[class_type].pack.rpartition(".")[2] if class_type in bundled else ""
    return [*(packs[class_type].names if class_type in packs else ()), *filter(None, [module])]


def _with_reason(item: Item, owner: FailedPack | None, failed: str) -> Item:
    """Return the problem with the failure of its pack.

    `failed` names all packs that failed, for a class whose pack is not known.
    """
    if owner is not None:
        return replace(item, message=f"{item.message.removesuffix('.')}: {owner}.", suggestion=owner.cure)
    if item.suggestion is None and failed:
        return replace(item, suggestion=f"Node packs that failed to import on this worker: {failed}.")
    return item


def find_packs(packs: Sequence[FailedPack], classes: Mapping[str, Collection[str]]) -> dict[str, FailedPack]:
    """Return the failed pack of each class, as far as one is found. It reads the packs' files.

    `classes` has the names under which the pack of each class is known. Other packs are found by the class's name in
    their source: as a key or a `node_id`, or as any string if only one failed pack contains it.
    """
    failed = [pack for pack in packs if pack.stage is PackStage.IMPORT]
    pack_by_class = {name: pack for name, names in classes.items() for pack in failed if _has_name(pack, names)}
    remaining = [name for name in classes if name not in pack_by_class][:MOST_CLASSES]
    if not remaining:
        return pack_by_class
    sources = [(pack, list(_source_texts(pack))) for pack in failed]
    for name in remaining:
        quoted = f"[\"']{re.escape(name)}[\"']"
        registers = re.compile(rf"{quoted}\s*:|\[\s*{quoted}\s*\]\s*=[^=]|node_id\s*=\s*{quoted}")
        mentions = re.compile(quoted)
        owners = [pack for pack, files in sources if any(map(registers.search, files))]
        owners = owners or [pack for pack, files in sources if any(map(mentions.search, files))]
        if len(owners) == 1:
            pack_by_class[name] = owners[0]
    return pack_by_class


def _has_name(pack: FailedPack, names: Iterable[str]) -> bool:
    """Return whether a pack has one of these names, by its folder or by the id in its pyproject.toml."""
    normalized_names = {_normalized(name) for name in names}
    return bool(normalized_names) and not normalized_names.isdisjoint(
        {_normalized(pack.name.removesuffix(".py")), _normalized(_project(pack))}
    )


def _project(pack: FailedPack) -> str:
    """Return the pack's id in ComfyUI's registry, from its pyproject.toml."""
    try:
        project_file = tomllib.loads((pack.path / PROJECT).read_text("utf-8")) if pack.path else {}
        return str(project_file.get("project", {}).get("name", pack.name))
    except (OSError, ValueError, AttributeError):
        return pack.name


def _normalized(name: str) -> str:
    """Return a name without separators and case."""
    return SEPARATOR.sub("", name).casefold()


def _source_texts(pack: FailedPack) -> Iterator[str]:
    """Yield the texts of the pack's Python files."""
    if pack.path is None:
        return
    paths = [pack.path] if pack.path.is_file() else sorted(pack.path.rglob("*.py"))
    for path in paths[:MOST_FILES]:
        try:
            if path.stat().st_size <= MOST_SOURCE:
                yield path.read_text("utf-8", errors="replace")
        except OSError:
            continue
