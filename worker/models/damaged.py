"""Detection of damaged model files after a node has failed. A damaged file is set aside and fetched again."""

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

LOADING_ERRORS = (
    "SafetensorError: Error while deserializing header",
    "UnpicklingError: ",
    "EOFError: ",
    "RuntimeError: PytorchStreamReader failed",
    "RuntimeError: unexpected EOF, expected",
)
"""Beginnings of the errors that safetensors and torch raise for a file that they cannot read."""
SETTLE_S = 1.0
"""Seconds for which a damaged file is observed. A file that changes in this time is still being written."""
SEND_ELSEWHERE = "Send the job to another worker."


@dataclass(frozen=True, slots=True)
class DamagedFile:
    """A model file that a node could not load. `path` is None if this worker cannot check or read the file."""

    need: ModelNeed
    reason: str
    path: Path | None = None


class DamageCheck:
    """Checks the model files of failed nodes.

    `folder` is None if the worker does not know ComfyUI's folder of models.
    """

    def __init__(self, models: Models, folder: ModelsFolder | None, settle_s: float = SETTLE_S) -> None:
        self._models = models
        self._folder = folder
        self._settle_s = settle_s

    async def explain(self, error: NodeFailed, prompt: Prompt, catalog: Catalog | None) -> WorkerError:
        """Return ModelDamaged if the node failed because of a damaged model file, else return `error`.

        A damaged file is set aside, and fetched again if a template has its URL.
        """
        detail = next(iter(error.details), None)
        if detail is None or detail.node_id not in prompt:
            return error
        needs = needed_models(prompt, catalog or bundled_catalog(), self._models.downloads)
        own_needs = [need for need in needs if detail.node_id in need.nodes]
        nodes_before = ancestors(prompt, detail.node_id)
        earlier_needs = [need for need in needs if nodes_before.intersection(need.nodes)]
        failed_to_load = detail.message.startswith(LOADING_ERRORS)
        damaged = await asyncio.to_thread(
            lambda: list(self._damaged_files(own_needs, earlier_needs, failed_to_load=failed_to_load))
        )
        if not damaged and failed_to_load:
            unchecked = [need for need in own_needs if not self._can_check(need)]
            reason = f"it cannot be loaded ({detail.message.strip()[:200]})"
            damaged = [DamagedFile(need, reason) for need in unchecked]
        if not damaged:
            return error
        details = [await self._set_aside_and_fetch(file, detail) for file in damaged]
        return ModelDamaged(" ".join(detail.message for detail in details), details)

    def _damaged_files(
        self, own_needs: list[ModelNeed], earlier_needs: list[ModelNeed], *, failed_to_load: bool
    ) -> Iterator[DamagedFile]:
        """Yield the damaged files of a failed node (`own_needs`) and of the nodes before it (`earlier_needs`).

        Nodes before it may have opened their files without reading them completely. `failed_to_load` is True if the
        node reported that it could not load a file.
        """
        for need in (*own_needs, *(need for need in earlier_needs if need not in own_needs)):
            path = self._path(need)
            try:
                reason = damage(path, failed_to_load=failed_to_load) if path else None
                is_suspect = reason is not None or (failed_to_load and need in own_needs)
                if path and need.source is not None and is_suspect:
                    reason = _difference(path, need.source, reason)
            except OSError as error:
                if need in own_needs:
                    yield DamagedFile(need, f"it cannot be read: {(error.strerror or str(error)).lower()}")
                continue
            if reason is not None:
                yield DamagedFile(need, reason, path)

    def _can_check(self, need: ModelNeed) -> bool:
        """Return True if a check would find damage: the file is present and not in the older format of torch."""
        path = self._path(need)
        try:
            return path is not None and not is_pickle(path)
        except OSError:
            return False

    def _path(self, need: ModelNeed) -> Path | None:
        """Return the path of a model file in the first of its folders that has it, or None."""
        if self._folder is None:
            return None
        paths = (self._folder.find(folder, need.file) for folder in need.folders)
        return next((path for path in paths if path), None)

    async def _set_aside_and_fetch(self, file: DamagedFile, failed: Detail) -> Detail:
        """Set a damaged file aside and start to fetch it again, and return the error detail.

        Neither is done if the file is still being written, and it is not fetched if no template has its URL.
        """
        name = f"models/{file.need.folder}/{file.need.file}"
        message, suggestion = f"{name} of this worker is damaged: {file.reason}.", SEND_ELSEWHERE
        if file.path is not None and await self._is_changing(file.path):
            message = f"{name} of this worker is incomplete: it is still being written."
        elif file.path is not None and self._folder is not None and self._folder.on_volume(file.path):
            message += " It is on the network volume, which the worker does not change: replace it there."
            log.error("%s", message)
        elif file.path is not None and self._folder is not None:
            try:
                aside = await asyncio.to_thread(self._folder.set_aside, file.path)
            except OSError as error:
                log.error("%s It cannot be set aside: %s", message, error)
                return replace(failed, message=message, suggestion=suggestion)
            message += f" It was set aside as {aside.name}."
            if await self._models.fetch_again(file.need.source):
                message += " It is being fetched again."
                suggestion = f"{SEND_ELSEWHERE} Or send it again here once the model has been fetched."
            log.error("%s", message)
        return replace(failed, message=message, suggestion=suggestion)

    async def _is_changing(self, path: Path) -> bool:
        """Wait for `settle_s` seconds, and return True if a file has changed in this time.

        Another program is writing such a file, and would continue to write it after a rename.
        """
        before = await asyncio.to_thread(_size_and_mtime, path)
        await asyncio.sleep(self._settle_s)
        return before != await asyncio.to_thread(_size_and_mtime, path)


def _size_and_mtime(path: Path) -> tuple[int, int] | None:
    """Return size and modification time of a file, or None if it does not exist."""
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_size, stat.st_mtime_ns


def _difference(path: Path, expected: ModelFile, reason: str | None) -> str | None:
    """Return why a file is damaged by comparison with its template. Return None if its sha256 is right.

    `reason` is the damage found in the file itself, or None. It is returned if the template does not prove the file
    intact.
    """
    size = path.stat().st_size
    if expected.size not in {None, size}:
        return reason or f"it has {size:,} bytes instead of {expected.size:,}"
    if expected.sha256:
        with path.open("rb") as file:
            sha256 = file_digest(file, "sha256").hexdigest()
        if sha256 == expected.sha256:
            return None
        return reason or f"its sha256 is {sha256} instead of {expected.sha256}"
    return reason
