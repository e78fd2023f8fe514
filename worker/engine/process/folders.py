"""The folders of an engine that the worker starts. They are in the state folder, as ComfyUI's own may be read-only."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import orjson

from worker.engine.process.names import FIRST_ENGINE, per_engine
from worker.engine.process.volume import volume_models
from worker.errors import StartupError
from worker.settings import Settings
from worker.workflow.catalog.folders import all_folders

EMBEDDED = "embedded"
OTHER_FOLDERS = ("classifiers", "clip", "configs", "embeddings", "insightface", "t2i_adapter", "unet", "vae_approx")
"""Folders of models that no input of a node lists, or that have an older name."""
CACHES = {
    "XDG_CACHE_HOME": ".cache",
    "XDG_CONFIG_HOME": ".config",
    "HF_HOME": ".cache/huggingface",
    "MPLCONFIGDIR": ".config/matplotlib",
    "TORCHINDUCTOR_CACHE_DIR": ".cache/torchinductor",
    "TRITON_CACHE_DIR": ".triton/cache",
}
"""Default places of caches below HOME. A variable, or a user without a name, can move a cache elsewhere."""


@dataclass(frozen=True, slots=True)
class EngineFolders:
    """The folders of one engine. `root` has its files. `input` and `models` are shared by all engines of a worker.

    New models are stored in `models`. `baked` is ComfyUI's own folder of models, and `volume` that on a network volume.
    Both are only read, and None if they do not exist.
    """

    root: Path
    input: Path
    output: Path
    models: Path
    baked: Path | None = None
    volume: Path | None = None

    @property
    def model_roots(self) -> tuple[Path, ...]:
        """The folders of models, in the order in which ComfyUI searches them."""
        return tuple(root for root in (self.baked, self.models, self.volume) if root is not None)


def engine_folders(settings: Settings, name: str = FIRST_ENGINE) -> EngineFolders | None:
    """Return the folders of an engine that this worker starts, or None if WORKER_COMFYUI is a URL.

    WORKER_COMFYUI_OUTPUT is the output folder of the first engine only.
    """
    if is_url(settings.engine.comfyui):
        return None
    state = settings.state.absolute()
    embedded = settings.engine.comfyui == EMBEDDED
    first = state / ("engine" if embedded else "comfyui")
    root = first.with_name(per_engine(first.name, name))
    output = settings.engine.output_folder if name == FIRST_ENGINE else None
    return EngineFolders(
        root,
        (settings.engine.input_folder or first / "input").absolute(),
        (output or root / "output").absolute(),
        (settings.models.folder or (first if embedded else state) / "models").absolute(),
        None if embedded else Path(settings.engine.comfyui).absolute() / "models",
        None if embedded else volume_models(settings),
    )


def is_url(comfyui: str) -> bool:
    """Return whether WORKER_COMFYUI is the URL of a ComfyUI that this worker does not start."""
    return comfyui.startswith(("http://", "https://"))


def create_state_folder(folder: Path) -> None:
    """Create the state folder and check that it is writable. Raises StartupError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise StartupError(f"WORKER_STATE={folder} is not writable: {error.strerror}") from error


def comfyui_arguments(folders: EngineFolders) -> list[str]:
    """Create ComfyUI's folders and return the arguments that name them. Raises StartupError."""
    user, extra = folders.root / "user", folders.root / "models.yaml"
    try:
        for folder in (folders.input, folders.output, user):
            folder.mkdir(parents=True, exist_ok=True)
        extra.write_bytes(orjson.dumps({"comfy-worker": _model_paths(folders)}))  # JSON is YAML
    except OSError as error:
        raise StartupError(f"ComfyUI's folders cannot be created: {error}") from error
    return [
        *("--input-directory", str(folders.input), "--output-directory", str(folders.output)),
        *("--user-directory", str(user), "--temp-directory", str(folders.root)),
        *("--database-url", f"sqlite:///{user / 'comfyui.db'}"),
        *("--extra-model-paths-config", str(extra)),
    ]


def known_folders() -> frozenset[str]:
    """Return the names of ComfyUI's folders of models, including older ones."""
    return frozenset({*all_folders(), *OTHER_FOLDERS})


def _model_paths(folders: EngineFolders) -> dict[str, str]:
    """Return the paths of each folder of models, one a line, by the folder's name.

    ComfyUI knows the baked folders already, and ignores a path that is listed twice. They are listed because a pack
    that adds a folder may assume that no other paths exist. The volume is the last one, because nodes save models into
    the first.
    """
    roots = folders.model_roots
    existing = {path.name for root in roots if root.is_dir() for path in root.iterdir() if path.is_dir()}
    names = sorted({*known_folders(), *(name for name in existing if not name.startswith("."))})
    return {name: "\n".join(str(root / name) for root in roots) for name in names}


def engine_home(folders: EngineFolders, environ: Mapping[str, str]) -> dict[str, str]:
    """Return variables for caches and temporary files of node packs and torch, and create their folders as needed.

    A writable HOME and TMPDIR, and caches that are set already, stay as they are.
    """
    home = Path(environ.get("HOME") or "/nowhere")  # a folder that does not exist
    if not _is_writable(home):
        home = folders.root / "home"
        home.mkdir(parents=True, exist_ok=True)
    variables = {name: str(home / place) for name, place in CACHES.items() if not environ.get(name)}
    if not _is_writable(Path(environ.get("TMPDIR") or "/tmp")):  # noqa: S108 - the default of most programs
        temporary = folders.root / "tmp"
        temporary.mkdir(parents=True, exist_ok=True)
        variables["TMPDIR"] = str(temporary)
    return {"HOME": str(home), **variables}


def _is_writable(folder: Path) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)
