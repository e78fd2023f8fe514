"""What an embedded engine is told when it starts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from worker.simulators.comfyui.faults.fault import EngineFault
from worker.workflow.catalog.catalog import Catalog

PREVIEWS_OFF = "none"
PREVIEW_METHODS = (PREVIEWS_OFF, "auto", "latent2rgb", "taesd")


class CachePolicy(StrEnum):
    """Which results survive a prompt: ComfyUI frees earlier ones only when its machine is short of memory."""

    LAST_PROMPT = "last-prompt"
    EVERY_PROMPT = "every-prompt"


@dataclass(frozen=True, slots=True)
class EngineSettings:
    """`base` holds the folders input, output and temp; temp is emptied at the start, as ComfyUI does.

    `folders` has the places of those of input, output and models that lie elsewhere.

    `port` 0 takes a free one. `catalog` None is the bundled one. `speed` 0 does simulated work at once, 1 takes
    about the time of a mid-range GPU, 2 half of it. `models` lists file names by model folder; with `strict_files` a
    prompt may name only those and the files that are there, otherwise every name is taken for present. `faults`
    happen at the nodes they name; how often they did is counted in `base`, over all lives of the engine.
    `preview_method` is for prompts that name none: as of a ComfyUI started with `--preview-method`.
    """

    base: Path
    host: str = "127.0.0.1"
    port: int = 0
    catalog: Catalog | None = None
    speed: float = 0.0
    cache: CachePolicy = CachePolicy.LAST_PROMPT
    strict_files: bool = False
    models: Mapping[str, Sequence[str]] = field(default_factory=dict)
    faults: Sequence[EngineFault] = ()
    folders: Mapping[str, Path] = field(default_factory=dict)
    preview_method: str = PREVIEWS_OFF
