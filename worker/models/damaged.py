"""A node that failed because a model file is damaged: the file is checked, named, set aside and fetched again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import file_digest
from pathlib import Path

from worker.errors import Detail, ModelDamaged, NodeFailed, WorkerError
from worker.model_file import damage, is_pickle
from worker.models.folder import ModelsFolder
from worker.models.service import Models
from worker.workflow.catalog.catalog import Catalog, bundled_catalog
from worker.workflow.model_needs import ModelNeed, needed_models
from worker.workflow.prompt import Prompt, ancestors
from worker.workflow.templates.template import ModelFile

log = logging.getLogger(__name__)

LOADING = (
    "SafetensorError: Error while deserializing header",
    "UnpicklingError: ",
    "EOFError: ",
    "RuntimeError: PytorchStreamReader failed",
    "RuntimeError: unexpected EOF, expected",
)
"""How the errors begin that safetensors and torch raise for a file that they can't read."""
SETTLE_S = 1.0
"""How long a damaged file is watched: one that changes is still being written."""
ELSEWHERE = "Send the job to another worker."


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A model file that a node could not load; `path` is None where this worker can't check or can't read it."""

    need: ModelNeed
    why: str
    path: Path | None = None


class DamageCheck:
    """Checks the model files of a failed node. `folder` is None where the worker does not know ComfyUI's models."""

    def __init__(self, models: Models, folder: ModelsFolder | None, settle: float = SETTLE_S) -> None:
        self._models = models
        self._folder = folder
        self._settle = settle

    async def explain(self, error: NodeFailed, prompt: Prompt, catalog: Catalog | None) -> WorkerError:
        """Return the error that the failure of a node really is: ModelDamaged where a model of it is damaged.

        A damaged file is set aside, and fetched again where a template knows it.
        """
        detail = next(iter(error.details), None)
        if detail is None or detail.node_id not in prompt:
            return error
        needs = needed_models(prompt, catalog or bundled_catalog(), self._models.downloads)
        own = [need for need in needs if detail.node_id in need.nodes]
        before = ancestors(prompt, detail.node_id)
        others = [need for need in needs if before.intersection(need.nodes)]
        loading = detail.message.startswith(LOADING)
        damaged = await asyncio.to_thread(lambda: list(self._damaged(own, others, loading=loading)))
        if not damaged and loading:
            unsure = [need for need in own if not self._checkable(need)]
            damaged = [DamagedFile(need, f"it can't be loaded ({detail.message.strip()[:200]})") for need in unsure]
        if not damaged:
            return error
        details = [await self._treated(file, detail) for file in damaged]
        return ModelDamaged(" ".join(found.message for found in details), details)

    def _damaged(self, own: list[ModelNeed], others: list[ModelNeed], *, loading: bool) -> Iterator[DamagedFile]:
        """Check a failed node's files, and those of the nodes that it needs, which load some of it late."""
        for need in (*own, *(need for need in others if need not in own)):
            path = self._place(need)
            try:
                why = damage(path, failed_to_load=loading) if path else None
                if path and need.source is not None and (why is not None or (loading and need in own)):
                    why = _compared(path, need.source, why)
            except OSError as error:
                if need in own:
                    yield DamagedFile(need, f"it can't be read: {(error.strerror or str(error)).lower()}")
                continue
            if why is not None:
                yield DamagedFile(need, why, path)

    def _checkable(self, need: ModelNeed) -> bool:
        """Whether damage would be seen: not in a file that is elsewhere, nor in the older format of torch."""
        path = self._place(need)
        try:
            return path is not None and not is_pickle(path)
        except OSError:
            return False

    def _place(self, need: ModelNeed) -> Path | None:
        if self._folder is None:
            return None
        return next((path for folder in need.folders if (path := self._folder.find(folder, need.file))), None)

    async def _treated(self, file: DamagedFile, failed: Detail) -> Detail:
        """Set a file aside, have it fetched again, and say so."""
        name = f"models/{file.need.folder}/{file.need.file}"
        message, suggestion = f"{name} of this worker is damaged: {file.why}.", ELSEWHERE
        if file.path is not None and await self._changes(file.path):
            message = f"{name} of this worker is not whole: it is still being written."
        elif file.path is not None and self._folder is not None:
            try:
                aside = await asyncio.to_thread(self._folder.set_aside, file.path)
            except OSError as error:
                log.error("%s It can't be set aside: %s", message, error)
                return replace(failed, message=message, suggestion=suggestion)
            message += f" It was set aside as {aside.name}."
            if await self._models.fetch_again(file.need.source):
                message += " It is being fetched again."
                suggestion = f"{ELSEWHERE} Or send it again here once the model has been fetched."
            log.error("%s", message)
        return replace(failed, message=message, suggestion=suggestion)

    async def _changes(self, path: Path) -> bool:
        """Watch a file for a moment: a copy that runs beside the worker would go on under the new name."""
        before = await asyncio.to_thread(_state, path)
        await asyncio.sleep(self._settle)
        return before != await asyncio.to_thread(_state, path)


def _state(path: Path) -> tuple[int, int] | None:
    """Return the size and the time of the last change of a file; None for one that is gone."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _compared(path: Path, expected: ModelFile, why: str | None) -> str | None:
    """Compare a file with what a template knows of it; `why` is what its own bytes say, unless the sha256 is right."""
    size = path.stat().st_size
    if expected.size not in {None, size}:
        return why or f"it has {size:,} bytes instead of {expected.size:,}"
    if expected.sha256:
        with path.open("rb") as file:
            found = file_digest(file, "sha256").hexdigest()
        return None if found == expected.sha256 else why or f"its sha256 is {found} instead of {expected.sha256}"
    return why
