"""The parts of a running engine, as the routes use them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import web

from worker.simulators.comfyui.execution.executor import Executor
from worker.simulators.comfyui.execution.history import History
from worker.simulators.comfyui.execution.queue import PromptQueue
from worker.simulators.comfyui.faults.fault_injector import FaultInjector
from worker.simulators.comfyui.folders import FOLDER_TYPES, ComfyFolders, OutsideFolder
from worker.simulators.comfyui.server.hub import Hub
from worker.simulators.comfyui.server.logs import ServerLog
from worker.simulators.comfyui.settings import EngineSettings
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.saved_models import SAVED_INTO, is_model


@dataclass(frozen=True, slots=True)
class EmbeddedEngine:
    """A running engine. `numbers` yields the number of each submission. Rejected submissions are counted too."""

    settings: EngineSettings
    catalog: Catalog
    hub: Hub
    queue: PromptQueue
    history: History
    executor: Executor
    folders: ComfyFolders
    logs: ServerLog
    fault_injector: FaultInjector
    numbers: Iterator[int]


ENGINE = web.AppKey("engine", EmbeddedEngine)


class EngineFiles:
    """The files that prompts may name. It implements the protocol `FileCheck`.

    They are the files in `input`, `output` and `temp`, the models of the settings, and the files in model folders.
    """

    def __init__(self, settings: EngineSettings, folders: ComfyFolders) -> None:
        self._settings = settings
        self._folders = folders

    def exists(self, folder: str, name: str) -> bool:
        """Return whether `name` exists in this folder. A name that ends in `/` or `/*` is the name of a folder.

        Unless the setting `strict_files` is on, every name of a model exists.
        """
        if folder not in FOLDER_TYPES:
            return not self._settings.strict_files or name in self.models(folder)
        try:
            path = self._folders.resolve(name.removesuffix("*").rstrip("/"), folder)
            return path.is_dir() if name.endswith(("/", "/*")) else path.is_file()
        except OutsideFolder:
            return False

    def models(self, folder: str) -> list[str]:
        """Return the current file names of one model folder, with `/` as separator. Saved models are included."""
        on_disk = sorted({*_names(self._folders.models / folder), *self._saved(folder)})
        return list(dict.fromkeys([*self._settings.models.get(folder, ()), *on_disk]))

    def all_models(self) -> dict[str, list[str]]:
        """Return the file names by model folder. Folders without a file are left out."""
        root = self._folders.models
        folders = {path.name for path in root.iterdir() if path.is_dir()} if root.is_dir() else set()
        folders |= {*self._settings.models, *SAVED_INTO.values()}
        names_by_folder = {folder: self.models(folder) for folder in folders}
        return {folder: names for folder, names in names_by_folder.items() if names}

    def _saved(self, folder: str) -> Iterator[str]:
        """Yield the models in folders of `output` that ComfyUI also searches for this kind of model."""
        output = self._folders.path("output")
        for subfolder, model_folder in SAVED_INTO.items():
            if model_folder == folder:
                yield from filter(is_model, _names(output / subfolder))


def _names(root: Path) -> Iterator[str]:
    """Yield the paths of all files below a folder, relative to it."""
    return (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def engine_files(engine: EmbeddedEngine) -> EngineFiles:
    """Return the files that prompts of this engine may name."""
    return EngineFiles(engine.settings, engine.folders)
