"""Where an engine that the worker starts reads and writes: below the state folder, as its own tree may be read-only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from worker.engine.process.names import FIRST, per_engine
from worker.errors import StartupError
from worker.settings import Settings
from worker.workflow.catalog.folders import all_folders

EMBEDDED = "embedded"
OTHER_FOLDERS = ("classifiers", "clip", "configs", "embeddings", "insightface", "t2i_adapter", "unet", "vae_approx")
"""Folders of models that no input of a node lists, or that go by an older name."""
CACHES = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "HF_HOME": ".cache/huggingface",
    "MPLCONFIGDIR": ".config/matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": ".cache/torchinductor",
    "TRITON_CACHE_DIR": ".triton/cache",
}
"""Below HOME, where they are by themselves too, unless a variable or the lack of a user's name moves them."""


@dataclass(frozen=True, slots=True)
class EngineFolders:
    """`root` holds what is the engine's alone; `input` and the models are shared by all engines of a worker.

    New models go to `models`; `baked` has others, and is only read.
    """

    root: Path
    input: Path
    output: Path
    models: Path
    baked: Path | None = None


def engine_folders(settings: Settings, name: str = FIRST) -> EngineFolders | None:
    """Return the folders of the embedded engine or ComfyUI that this worker starts; None for one that is only a URL.

    `name` is the engine's. WORKER_COMFYUI_OUTPUT is the folder of the first.
    """
    if is_url(settings.engine.comfyui):
        return None
    state = settings.state.absolute()
    embedded = settings.engine.comfyui == EMBEDDED
    first = state / ("engine" if embedded else "comfyui")
    root = first.with_name(per_engine(first.name, name))
    output = settings.engine.output_folder if name == FIRST else None
    return EngineFolders(
        root,
        (settings.engine.input_folder or first / "input").absolute(),
        (output or root / "output").absolute(),
        (settings.models.folder or (first if embedded else state) / "models").absolute(),
        None if embedded else Path(settings.engine.comfyui).absolute() / "models",
    )


def is_url(comfyui: str) -> bool:
    """True for a ComfyUI that somebody else runs."""
    return comfyui.startswith(("http://", "https://"))


def create_state_folder(folder: Path) -> None:
    """Tried at once: what can't be written would be found out one part after the other. Raises StartupError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartupError(f"WORKER_STATE={folder} can't be written: {error.strerror}") from error


def comfyui_arguments(folders: EngineFolders) -> list[str]:
    """What tells ComfyUI its folders, which are made. Raises StartupError."""
    user, extra = folders.root / "user", folders.root / "models.yaml"
    try:
        for folder in (folders.input, folders.output, user):
            folder.mkdir(parents=True, exist_ok=True)
        extra.write_bytes(orjson.dumps({"comfy-worker": _model_paths(folders)}))  # JSON is YAML
    except OSError as error:
        raise StartupError(f"ComfyUI's folders can't be made: {error}") from error
    return [
        *("--input-directory", str(folders.input), "--output-directory", str(folders.output)),
        *("--user-directory", str(user), "--temp-directory", str(folders.root)),
        *("--database-url", f"sqlite:///{user / 'comfyui.db'}"),
        *("--extra-model-paths-config", str(extra)),
    ]


def _model_paths(folders: EngineFolders) -> dict[str, str]:
    """Each folder of models -> its places, one a line; a place twice is one to ComfyUI.

    The baked ones are named too: a pack that adds a folder of its own takes the places it finds for all there are.
    """
    roots = [root for root in (folders.baked, folders.models) if root is not None]
    there = {path.name for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()}
    names = sorted({*all_folders(), *OTHER_FOLDERS, *(name for name in there if not name.startswith("."))})
    return {name: "\n".join(str(root / name) for root in roots) for name in names}


def engine_home(folders: EngineFolders, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables for what node packs and torch write beside ComfyUI's folders: a HOME that can be written.

    The user's own is left where it can be; a variable that somebody set stays.
    """
    home = Path(environ.get("HOME") or "/nowhere")
    if not _writable(home):
        home = folders.root / "home"
        home.mkdir(parents=True, exist_ok=True)
    more = {name: str(home / place) for name, place in CACHES.items() if not environ.get(name)}
    if not _writable(Path(environ.get("TMPDIR") or "/tmp")):  # noqa: S108 - where programs look by themselves
        scratch = folders.root / "tmp"
        scratch.mkdir(parents=True, exist_ok=True)
        more["TMPDIR"] = str(scratch)
    return {"HOME": str(home), **more}


def _writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
