"""Which files of ComfyUI's workflows may name, and how large pictures may be."""

from __future__ import annotations

from dataclasses import dataclass

from worker.settings.setting import setting


@dataclass(frozen=True, slots=True)
class InputSettings:
    """Durations are seconds, sizes MiB."""

    input_folders: str = setting(
        "WORKER_INPUT_FOLDERS", "", "ComfyUI's folders whose files workflows may name: `input, output/shared`"
    )
    allow_linked_paths: bool = setting(
        "WORKER_ALLOW_LINKED_PATHS",
        False,
        "whether an input that takes a path may be linked to a text that is known only when it runs: for one tenant",
    )
    max_megapixels: float = setting(
        "WORKER_MAX_MEGAPIXELS",
        89.0,
        "most pixels of an input picture, in millions, all its frames together",
    )
