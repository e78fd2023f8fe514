"""All parts of a running engine, as the routes see them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from aiohttp import web

from worker.comfyui.embedded.executor import Executor
from worker.comfyui.embedded.folders import FOLDER_TYPES, Folders, OutsideFolder
from worker.comfyui.embedded.history import History
from worker.comfyui.embedded.hub import Hub
from worker.comfyui.embedded.logs import Logs
from worker.comfyui.embedded.mischief import Mischief
from worker.comfyui.embedded.queue import PromptQueue
from worker.comfyui.embedded.settings import EngineSettings
from worker.graph.catalog import Catalog


@dataclass(frozen=True, slots=True)
class Engine:
    """A running engine. `numbers` counts submissions, refused ones too."""

    settings: EngineSettings
    catalog: Catalog
    hub: Hub
    queue: PromptQueue
    history: History
    executor: Executor
    folders: Folders
    logs: Logs
    mischief: Mischief
    numbers: Iterator[int]


ENGINE = web.AppKey("engine", Engine)


def new_numbers() -> Iterator[int]:
    return count()


class EngineFiles:
    """The files that prompts may name: what is in the three folders, and the models by the engine's settings."""

    def __init__(self, settings: EngineSettings, folders: Folders) -> None:
        self._settings = settings
        self._folders = folders

    def exists(self, folder: str, name: str) -> bool:
        if folder not in FOLDER_TYPES:
            return not self._settings.strict_files or name in self._settings.models.get(folder, ())
        try:
            return self._folders.named(name, folder).is_file()
        except OutsideFolder:
            return False
