"""The environment of an engine in a sandbox: a home, caches and a folder for temporary files of its own."""

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
"""Variables that name a cache and nothing else: the operator's value stays, and the engine may write there."""
HF_HOME, HF_PARTS = "HF_HOME", ("hub", "datasets", "modules", "assets", "xet")
"""Beside the caches, HF_HOME has the operator's token in a file."""


def sandbox_home(root: Path, environ: Mapping[str, str]) -> dict[str, str]:
    """Make the folders below an engine's `root`, and return the variables that lead to them.

    The user's name comes from the environment, as /etc/passwd can't be read. Packages that were installed into the
    user's own home are still found: in a home that jobs can write they would run what a job has left.
    """
    home, scratch = root / "home", root / "tmp"
    shutil.rmtree(scratch, ignore_errors=True)
    for folder in (home, scratch):
        folder.mkdir(parents=True, exist_ok=True)
    caches = {name: str(home / place) for name, place in CACHES.items() if name not in cache_folders(environ)}
    base = environ.get("PYTHONUSERBASE") or str(Path(environ.get("HOME") or "/nowhere") / ".local")
    own = dict.fromkeys(("USER", "LOGNAME"), USER)
    more = {"HF_TOKEN_PATH": str(home / ".cache/huggingface/token"), "PYTHONUSERBASE": base}
    return {"HOME": str(home), "TMPDIR": str(scratch), **caches, **own, **more}


def cache_folders(environ: Mapping[str, str]) -> dict[str, list[Path]]:
    """Return the variables of caches that somebody has set, with the folders that are written there."""
    found = {name: [Path(environ[name])] for name in KEPT_CACHES if environ.get(name)}
    if environ.get(HF_HOME):
        found[HF_HOME] = [Path(environ[HF_HOME]) / part for part in HF_PARTS]
    return {name: paths for name, paths in found.items() if all(path.is_absolute() for path in paths)}
