"""All parts of a running engine, as the routes see them."""

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
    """A running engine. `numbers` counts submissions, refused ones too."""

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
    """The files that prompts may name: what is in the three folders, the models of the settings and of `models`."""

    def __init__(self, settings: EngineSettings, folders: ComfyFolders) -> None:
        self._settings = settings
        self._folders = folders

    def exists(self, folder: str, name: str) -> bool:
        if folder not in FOLDER_TYPES:
            return not self._settings.strict_files or name in self.models(folder)
        try:
            place = self._folders.resolve(name.removesuffix("*").rstrip("/"), folder)
            return place.is_dir() if name.endswith(("/", "/*")) else place.is_file()
        except OutsideFolder:
            return False

    def models(self, folder: str) -> list[str]:
        """The names in one folder of models, with slashes, as of this moment; those that jobs saved are among them."""
        there = sorted({*_names(self._folders.models / folder), *self._saved(folder)})
        return list(dict.fromkeys([*self._settings.models.get(folder, ()), *there]))

    def all_models(self) -> dict[str, list[str]]:
        """By folder; those without a file are left out."""
        root = self._folders.models
        folders = {path.name for path in root.iterdir() if path.is_dir()} if root.is_dir() else set()
        found = {folder: self.models(folder) for folder in {*folders, *self._settings.models, *SAVED_INTO.values()}}
        return {folder: names for folder, names in found.items() if names}

    def _saved(self, folder: str) -> Iterator[str]:
        """ComfyUI searches folders of its output folder, too, for some kinds of models."""
        output = self._folders.path("output")
        for name, models in SAVED_INTO.items():
            if models == folder:
                yield from filter(is_model, _names(output / name))


def _names(root: Path) -> Iterator[str]:
    return (path.relative_to(root).as_posix() for path in root.rglob("*") if path.is_file())


def engine_files(engine: EmbeddedEngine) -> EngineFiles:
    return EngineFiles(engine.settings, engine.folders)
