"""Settings for input files: which files of ComfyUI workflows may name, and how large images may be."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Settings for input files."""

    input_folders: str = setting(
        "WORKER_INPUT_FOLDERS",
        "",
        "Folders of ComfyUI from which workflows may use files: `input/shared, output`. Empty means none.",
    )
    allow_linked_paths: bool = setting(
        "WORKER_ALLOW_LINKED_PATHS",
        False,
        "Whether an input that takes a path may be linked to a text that the workflow computes. Safe only if "
        "all callers trust each other.",
    )
    max_megapixels: float = setting(
        "WORKER_MAX_MEGAPIXELS",
        89.0,
        "Maximum number of pixels of an input image, in millions. The frames of an animated image count together.",
    )
