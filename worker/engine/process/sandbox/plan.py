"""Decides what an engine may reach, from the settings, its folders, its interpreter and ComfyUI's tree."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path

from worker.engine.process.folders import EMBEDDED, EngineFolders
from worker.engine.process.sandbox.home import cache_folders
from worker.engine.process.sandbox.interpreter import interpreter, worker_interpreter
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
"""What a file that a pack writes begins with: those known are JSON and YAML."""


def sandbox_policy(
    settings: Settings,
    folders: EngineFolders,
    status: SandboxStatus,
    environ: Mapping[str, str],
    python: str,
    port: int,
) -> SandboxPolicy | None:
    """Return what the engine at `port` may reach, and make the folders it writes to; None where no sandbox is wanted.

    `environ` is the engine's own. `python` runs it.
    """
    if not status.launched:
        return None
    named, written = argument_paths(settings.engine.args)
    more_read, more_write = split(settings.sandbox.read), split(settings.sandbox.write)
    code = worker_interpreter() + _tree(settings, python, environ)
    models = [path for path in (folders.models, folders.baked) if path is not None]
    _make([folders.input, folders.output, folders.root / "temp", folders.root / "user", folders.models, *written])
    root = folders.root
    links = _outside(link_targets(models), settings)
    read, names = exclude([*system_paths(), *code, *links, *named, *more_read], _hidden(settings))
    private = [root / "user", root / "home", root / "tmp", *_caches(environ), SHARED_MEMORY, _mps(environ)]
    return SandboxPolicy(
        read=_distinct([*read, *models, root / "models.yaml"]),
        inputs=(folders.input,),
        write=_distinct([folders.output, root / "temp", *written, *_pack_files(settings)]),
        private=_distinct([*private, *more_write]),
        devices=_distinct(devices()),
        names=_distinct(names),
        tcp=(port,) if settings.sandbox.network == EngineNetwork.NONE else None,
        landlock=status.landlock,
    )


def split(text: str) -> list[Path]:
    """Return the folders of WORKER_SANDBOX_READ or WORKER_SANDBOX_WRITE."""
    return [Path(part).expanduser().absolute() for part in text.split(os.pathsep) if part.strip()]


def _tree(settings: Settings, python: str, environ: Mapping[str, str]) -> list[Path]:
    """The interpreter, ComfyUI's folder, and what the links and YAML files in it lead to."""
    if settings.engine.comfyui == EMBEDDED:
        return []
    tree = Path(settings.engine.comfyui).absolute()
    roots = [tree, tree.resolve()]
    places = [tree, *(tree / name for name in ("custom_nodes", "models"))]
    links = [path.resolve() for place in places if place.is_dir() for path in place.iterdir() if path.is_symlink()]
    inside = [path for path in link_targets([tree / "custom_nodes"]) if path not in pack_files(tree)]
    found = _outside([*links, *inside], settings)
    return [*roots, *found, *interpreter(python, environ), *model_paths(tree / MODEL_PATHS)]


def _outside(links: Iterable[Path], settings: Settings) -> list[Path]:
    """Targets of links, but for those in the worker's state: a folder there that the engine needs has its own rule."""
    return [path for path in links if not path.is_relative_to(settings.state.resolve())]


def _hidden(settings: Settings) -> list[Path]:
    """What stays unreadable inside a folder that is read: the worker's state, and what people made in the tree."""
    hidden = [settings.state]
    if settings.engine.comfyui != EMBEDDED:
        hidden += [Path(settings.engine.comfyui).absolute() / name for name in PRIVATE]
    return list({path for one in hidden for path in (one, one.resolve())})


def _pack_files(settings: Settings) -> list[Path]:
    """Files that packs write at their import, each made where it is missing: a rule needs a file."""
    if settings.engine.comfyui == EMBEDDED:
        return []
    files = pack_files(Path(settings.engine.comfyui).absolute())
    for file in files:
        with suppress(OSError):  # in a tree that can't be written the pack itself will say so
            if not file.exists():
                file.write_text(EMPTY, "utf-8")
    return files


def _caches(environ: Mapping[str, str]) -> list[Path]:
    folders = [path for paths in cache_folders(environ).values() for path in paths]
    _make(folders)
    return folders


def _mps(environ: Mapping[str, str]) -> Path:
    return Path(environ.get(MPS) or MPS_DEFAULT)


def _make(folders: Iterable[Path]) -> None:
    """A rule is for a folder that is there. One that can't be made is reported by ComfyUI when it needs it."""
    for folder in folders:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            log.warning("the engine's folder %s can't be made: %s", folder, error)


def _distinct(paths: Iterable[Path]) -> tuple[Path, ...]:
    """Resolved too: a rule holds for the file that a path leads to now."""
    return tuple(dict.fromkeys(path.absolute() for path in paths))
