"""Settings of an embedded engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from worker.simulators.comfyui.faults.fault import EngineFault
from worker.simulators.comfyui.timings import Timings
from worker.workflow.catalog.catalog import Catalog

PREVIEWS_OFF = "none"
PREVIEW_METHODS = (PREVIEWS_OFF, "auto", "latent2rgb", "taesd")


class CachePolicy(StrEnum):
    """How long node results are kept: until the next prompt without the node, or over all prompts.

    ComfyUI frees the results of earlier prompts only when its machine is short of memory.
    """

    LAST_PROMPT = "last-prompt"
    EVERY_PROMPT = "every-prompt"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """Settings of one embedded engine."""

    base: Path
    """Folder of `input`, `output` and `temp`. `temp` is emptied at the start, as ComfyUI does."""
    host: str = "127.0.0.1"
    port: int = 0
    """Port of the HTTP server. 0 takes a free port."""
    catalog: Catalog | None = None
    """Node classes of the engine. None means the bundled catalog."""
    speed: float = 0.0
    """Speed of simulated work: 0 takes no time, 1 about the time of a mid-range GPU, 2 half of that."""
    cache: CachePolicy = CachePolicy.LAST_PROMPT
    strict_files: bool = False
    """True accepts only model names that exist in `models` or in a model folder. False accepts every name."""
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Names of model files by model folder, without files behind them."""
    faults: Sequence[EngineFault] = ()
    """Faults to inject. Their counts are kept in `base`, so that they survive a restart of the engine."""
    folders: Mapping[str, Path] = field(default_factory=dict)
    """Paths of `input`, `output` and `models`, for those that are not below `base`."""
    timings: Timings | None = None
    """How long nodes take. None means the engine's own estimates."""
    preview_method: str = PREVIEWS_OFF
    """Preview method for prompts that name none, as ComfyUI's option `--preview-method`."""
