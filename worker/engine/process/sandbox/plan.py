"""The sandbox policy of an engine, from the settings, its folders, its interpreter and ComfyUI's tree."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, EngineFolders
from worker.engine.process.sandbox.home import cache_folders
from worker.engine.process.sandbox.interpreter import interpreter_folders, worker_interpreter_folders
from worker.engine.process.sandbox.policy import SandboxPolicy, exclude
from worker.engine.process.sandbox.support import SandboxStatus
from worker.engine.process.sandbox.system import MPS, MPS_DEFAULT, SHARED_MEMORY, devices, system_paths
from worker.engine.process.sandbox.tree import (
    MODEL_PATHS,
    PRIVATE,
    argument_paths,
    link_targets,
    model_paths,
    pack_files,
)
from worker.settings import EngineNetwork, Settings

log = logging.getLogger(__name__)

EMPTY = "{}\n"
"""Content of a new file that a pack writes. The known ones are JSON and YAML."""


def sandbox_policy(
    settings: Settings,
    folders: EngineFolders,
    status: SandboxStatus,
    environ: Mapping[str, str],
    python: str,
    port: int,
) -> SandboxPolicy | None:
    """Create the folders that the engine at `port` writes to, and return its policy, or None without a sandbox.

    `environ` is the engine's environment, and `python` the interpreter that runs it.
    """
    if not status.launched:
        return None
    read_arguments, written_arguments = argument_paths(settings.engine.args)
    more_read, more_write = split(settings.sandbox.read), split(settings.sandbox.write)
    code = worker_interpreter_folders() + _comfyui_paths(settings, python, environ)
    models = folders.model_roots
    root = folders.root
    writable = [folders.input, folders.output, root / "temp", root / "user", folders.models, *written_arguments]
    _create_folders(writable)
    links = _outside_state(link_targets(models), settings)
    read, names = exclude([*system_paths(), *code, *links, *read_arguments, *more_read], _hidden_folders(settings))
    homes = [root / "user", root / "home", root / "tmp"]
    private = [*homes, *_create_caches(environ), SHARED_MEMORY, _mps_folder(environ)]
    return SandboxPolicy(
        read=_distinct([*read, *models, root / "models.yaml"]),
        inputs=(folders.input,),
        write=_distinct([folders.output, root / "temp", *written_arguments, *_create_pack_files(settings)]),
        private=_distinct([*private, *more_write]),
        devices=_distinct(devices()),
        names=_distinct(names),
        tcp=(port,) if settings.sandbox.network == EngineNetwork.NONE else None,
        landlock=status.landlock,
    )


def split(text: str) -> list[Path]:
    """Return the folders in WORKER_SANDBOX_READ or WORKER_SANDBOX_WRITE."""
    return [Path(part).expanduser().absolute() for part in text.split(os.pathsep) if part.strip()]


def _comfyui_paths(settings: Settings, python: str, environ: Mapping[str, str]) -> list[Path]:
    """Return ComfyUI's folder, its interpreter, the targets of its links and the paths in its YAML file.

    For the embedded engine there are none.
    """
    if settings.engine.comfyui == EMBEDDED:
        return []
    tree = Path(settings.engine.comfyui).absolute()
    roots = [tree, tree.resolve()]
    folders = [tree, *(tree / name for name in ("custom_nodes", "models"))]
    links = [path.resolve() for place in folders if place.is_dir() for path in place.iterdir() if path.is_symlink()]
    pack_links = [path for path in link_targets([tree / "custom_nodes"]) if path not in pack_files(tree)]
    targets = _outside_state([*links, *pack_links], settings)
    return [*roots, *targets, *interpreter_folders(python, environ), *model_paths(tree / MODEL_PATHS)]


def _outside_state(links: Iterable[Path], settings: Settings) -> list[Path]:
    """Return the targets that are not in the state folder. What the engine needs there is in the policy itself."""
    return [path for path in links if not path.is_relative_to(settings.state.resolve())]


def _hidden_folders(settings: Settings) -> list[Path]:
    """Return folders that stay unreadable inside a readable one: the state folder, and users' files in ComfyUI's."""
    hidden = [settings.state]
    if settings.engine.comfyui != EMBEDDED:
        hidden += [Path(settings.engine.comfyui).absolute() / name for name in PRIVATE]
    return list({path for path in hidden for path in (path, path.resolve())})


def _create_pack_files(settings: Settings) -> list[Path]:
    """Create the files that packs write into their own folders, and return all of them."""
    if settings.engine.comfyui == EMBEDDED:
        return []
    files = pack_files(Path(settings.engine.comfyui).absolute())
    for file in files:
        with suppress(OSError):  # in a read-only tree the pack reports the error itself
            if not file.exists():
                file.write_text(EMPTY, "utf-8")
    return files


def _create_caches(environ: Mapping[str, str]) -> list[Path]:
    """Create and return the cache folders that the operator has set."""
    folders = [path for paths in cache_folders(environ).values() for path in paths]
    _create_folders(folders)
    return folders


def _mps_folder(environ: Mapping[str, str]) -> Path:
    """Return the folder with the pipes of NVIDIA's Multi-Process Service."""
    return Path(environ.get(MPS) or MPS_DEFAULT)


def _create_folders(folders: Iterable[Path]) -> None:
    """Create folders, because a rule needs an existing path. ComfyUI reports those that cannot be created."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("the engine's folder %s cannot be created: %s", folder, error)


def _distinct(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Return the paths as absolute ones, each once."""
    return tuple(dict.fromkeys(path.absolute() for path in paths))
