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
    volume: Path = setting(
        "WORKER_NETWORK_VOLUME",
        Path("/runpod-volume"),
        "Folder of a network volume. If it exists, ComfyUI also uses the models in its folder `models`. The worker "
        "writes nothing to it.",
        flat="network_volume",
    )
    volume_debug: bool = setting(
        "WORKER_NETWORK_VOLUME_DEBUG",
        False,
        "Whether the worker logs at the start which model folders and files it finds in the network volume.",
        "NETWORK_VOLUME_DEBUG",
        flat="network_volume_debug",
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
