"""Settings for model files: which are fetched, where they are stored, and how much disk space they may use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Settings for model files. The quota is in GiB."""

    folder: Path | None = setting(
        "WORKER_MODELS_FOLDER",
        None,
        "Folder for downloaded models. Empty means `models` in the state folder. Models in ComfyUI's own "
        "folders are used too.",
        flat="models_folder",
    )
    templates: str = setting(
        "WORKER_MODELS",
        "",
        "Templates whose models are downloaded before the worker is ready: `sdxl, flux-schnell`.",
        flat="models",
    )
    on_demand: bool = setting(
        "WORKER_MODELS_ON_DEMAND",
        False,
        "Whether the worker downloads the missing models of a job, if a template has their URLs.",
        flat="models_on_demand",
    )
    quota: float = setting(
        "WORKER_MODELS_QUOTA_GIB",
        0.0,
        "Disk space in GiB for downloaded models. When they need more, the least recently used are deleted. "
        "0 means no limit.",
        flat="models_quota",
    )
