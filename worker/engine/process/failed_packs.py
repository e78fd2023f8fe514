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

from worker.engine.process.import_log import PackImport, read_imports
from worker.engine.process.log_file import START
from worker.errors import Detail
from worker.workflow.catalog.catalog import bundled_catalog
from worker.workflow.catalog.provider import PackIds, pack_ids
from worker.workflow.validation.explain import Problem

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
    """Return the packs that failed at the last start, by name, from an engine's log. Without a readable log, none."""
    try:
        data = log.read_bytes()
    except OSError:
        return ()
    imports = read_imports(data.rpartition(START)[2][:MOST_LOG].decode(errors="replace"))
    failed = [pack_import for pack_import in imports.values() if pack_import.prestartup or not pack_import.imported]
    return tuple(_failed_pack(pack_import) for pack_import in sorted(failed, key=lambda item: item.name))


def _failed_pack(pack_import: PackImport) -> FailedPack:
    """Return the failure of a pack that was not imported, or of the prestartup script of one that was."""
    if pack_import.imported:
        stage, reason = PackStage.PRESTARTUP, pack_import.prestartup
    else:
        stage, reason = PackStage.IMPORT, pack_import.cause
    path = Path(pack_import.path) if pack_import.path else None
    return FailedPack(pack_import.name, reason[:LONGEST_REASON].rstrip(" :."), stage, path)


async def name_failed_packs(
    problems: Sequence[Item], failed: Sequence[FailedPack], saved: object, is_missing: Callable[[Item], bool]
) -> tuple[Item, ...]:
    """Return the problems. Add to each problem of a missing class which pack failed to import, and why.

    `is_missing` returns whether a problem is that of a missing class. `saved` is the editor's file of the workflow,
    which names the packs of its nodes.
    """
    class_types = {problem.class_type for problem in problems if problem.class_type and is_missing(problem)}
    if not class_types or not failed:
        return tuple(problems)
    packs_in_workflow = pack_ids(saved)
    pack_names_by_class = {class_type: _pack_names(class_type, packs_in_workflow) for class_type in class_types}
    failed_by_class = await asyncio.to_thread(find_packs, failed, pack_names_by_class)
    all_failed = ", ".join(pack.name for pack in failed if pack.stage is PackStage.IMPORT)
    return tuple(
        _with_reason(problem, failed_by_class.get(problem.class_type or ""), all_failed)
        if is_missing(problem)
        else problem
        for problem in problems
    )


def _pack_names(class_type: str, packs: PackIds) -> list[str]:
    """Return the names of the pack that has a class: those in the workflow's file, and that in the bundled catalog."""
    bundled = bundled_catalog()
    module = bundled[class_type].pack.rpartition(".")[2] if class_type in bundled else ""
    return [*(packs[class_type].names if class_type in packs else ()), *filter(None, [module])]


def _with_reason(problem: Item, pack: FailedPack | None, all_failed: str) -> Item:
    """Return the problem of a missing class with the failure of its pack.

    If the pack is not known, the suggestion lists the names of all packs that failed, unless there is another one.
    """
    if pack is not None:
        return replace(problem, message=f"{problem.message.removesuffix('.')}: {pack}.", suggestion=pack.cure)
    if problem.suggestion is None and all_failed:
        return replace(problem, suggestion=f"Node packs that failed to import on this worker: {all_failed}.")
    return problem


def find_packs(packs: Sequence[FailedPack], classes: Mapping[str, Collection[str]]) -> dict[str, FailedPack]:
    """Return the failed pack of each class. A class whose pack is not found is left out. Blocks, to read files.

    `classes` has the possible names of each class's pack. If no pack has one of them, the class's name is searched in
    the packs' sources: as a key or a `node_id`, or else as any string. It must be in only one failed pack.
    """
    failed = [pack for pack in packs if pack.stage is PackStage.IMPORT]
    pack_by_class = {name: pack for name, names in classes.items() for pack in failed if _has_name(pack, names)}
    remaining = [name for name in classes if name not in pack_by_class][:MOST_CLASSES]
    if not remaining:
        return pack_by_class
    sources = [(pack, list(_source_texts(pack))) for pack in failed]
    for name in remaining:
        quoted = f"[\"']{re.escape(name)}[\"']"
        registered = re.compile(rf"{quoted}\s*:|\[\s*{quoted}\s*\]\s*=[^=]|node_id\s*=\s*{quoted}")
        mentioned = re.compile(quoted)
        matches = [pack for pack, texts in sources if any(map(registered.search, texts))]
        matches = matches or [pack for pack, texts in sources if any(map(mentioned.search, texts))]
        if len(matches) == 1:
            pack_by_class[name] = matches[0]
    return pack_by_class


def _has_name(pack: FailedPack, names: Iterable[str]) -> bool:
    """Return whether a pack's folder, or the id in its pyproject.toml, has one of these names."""
    normalized_names = {_normalized(name) for name in names}
    return bool(normalized_names) and not normalized_names.isdisjoint(
        {_normalized(pack.name.removesuffix(".py")), _normalized(_registry_id(pack))}
    )


def _registry_id(pack: FailedPack) -> str:
    """Return the pack's id in ComfyUI's registry, from its pyproject.toml, or else the name of its folder."""
    try:
        project_file = tomllib.loads((pack.path / PROJECT).read_text("utf-8")) if pack.path else {}
        return str(project_file.get("project", {}).get("name", pack.name))
    except (OSError, ValueError, AttributeError):
        return pack.name


def _normalized(name: str) -> str:
    """Return a name in lower case and without separators."""
    return SEPARATOR.sub("", name).casefold()


def _source_texts(pack: FailedPack) -> Iterator[str]:
    """Yield the texts of the pack's Python files. Files that are too large or cannot be read are left out."""
    if pack.path is None:
        return
    paths = [pack.path] if pack.path.is_file() else sorted(pack.path.rglob("*.py"))
    for path in paths[:MOST_FILES]:
        try:
            if path.stat().st_size <= MOST_SOURCE:
                yield path.read_text("utf-8", errors="replace")
        except OSError:
            continue
