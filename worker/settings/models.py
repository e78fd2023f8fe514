"""Which model files are fetched, where they go, and how much disk they take."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """Durations are seconds, sizes MiB."""

    folder: Path | None = setting(
        "WORKER_MODELS_FOLDER",
        None,
        "where fetched models go; empty: `models` in the state folder. ComfyUI's own are found too",
        flat="models_folder",
    )
    templates: str = setting(
        "WORKER_MODELS",
        "",
        "templates whose models are fetched before the worker is ready: `sdxl, flux-schnell`",
        flat="models",
    )
    on_demand: bool = setting(
        "WORKER_MODELS_ON_DEMAND",
        False,
        "whether a job's missing models are fetched, where a template knows them",
        flat="models_on_demand",
    )
    quota: float = setting(
        "WORKER_MODELS_QUOTA_GIB",
        0.0,
        "most disk that fetched models take, the longest unused make room; 0: no limit",
        flat="models_quota",
    )
