"""The environment of an engine in a sandbox: its own home, caches and folder for temporary files."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from worker.engine.process.folders import CACHES

USER = "comfyui"
KEPT_CACHES = (
    *("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "TRANSFORMERS_CACHE", "TORCH_HOME", "TORCHINDUCTOR_CACHE_DIR"),
    *("TRITON_CACHE_DIR", "MPLCONFIGDIR", "NUMBA_CACHE_DIR", "CUDA_CACHE_PATH", "YOLO_CONFIG_DIR", "U2NET_HOME"),
    *("INSIGHTFACE_HOME", "DIFFUSERS_CACHE", "HF_DATASETS_CACHE", "HF_MODULES_CACHE", "HF_ASSETS_CACHE"),
)
"""Variables that name only a cache. The operator's value stays, and the engine may write there."""
HF_HOME, HF_PARTS = "HF_HOME", ("hub", "datasets", "modules", "assets", "xet")
"""Variable of the folder with these caches, which are shared, and with the operator's token, which is not."""


def sandbox_home(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Create an engine's home and temporary folder below `root`, and return the variables that name them.

    The user's name is set because /etc/passwd cannot be read. PYTHONUSERBASE stays that of the operator, because jobs
    could leave code in the new home.
    """
    home, temporary = root / "home", root / "tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    caches = {name: str(home / place) for name, place in CACHES.items() if name not in cache_folders(environ)}
    user_base = environ.get("PYTHONUSERBASE") or str(Path(environ.get("HOME") or "/nowhere") / ".local")
    user_names = dict.fromkeys(("USER", "LOGNAME"), USER)
    others = {"HF_TOKEN_PATH": str(home / ".cache/huggingface/token"), "PYTHONUSERBASE": user_base}
    return {"HOME": str(home), "TMPDIR": str(temporary), **caches, **user_names, **others}


def cache_folders(environ: Mapping[str, str]) -> dict[str, list[Path]]:
    """Return the folders of caches for each variable that the operator has set. Relative paths are left out."""
    folders = {name: [Path(environ[name])] for name in KEPT_CACHES if environ.get(name)}
    if environ.get(HF_HOME):
        folders[HF_HOME] = [Path(environ[HF_HOME]) / part for part in HF_PARTS]
    return {name: paths for name, paths in folders.items() if all(path.is_absolute() for path in paths)}
