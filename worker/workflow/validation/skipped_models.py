"""Models that are not there and that a node would leave out without an error."""

from __future__ import annotations

from collections.abc import Iterator

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.loras import LORAS, listed_loras, named_loras
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, title
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.file_check import FileCheck

SKIPPED = "model_skipped"
"""The kind of these problems. ComfyUI takes the prompt and reports success."""
LISTS = frozenset({"LoraLoader"})
"""The classes whose choices say what is there."""


def skipped_model_problems(prompt: Prompt, catalog: Catalog, files: FileCheck | None) -> Iterator[Problem]:
    """Yield a problem for each LoRA that a node loads by a name inside of a value, and that is not there."""
    for lora in named_loras(prompt, catalog):
        if lora.listed or not lora.certain or (files is not None and files.exists(LORAS, lora.file)):
            continue
        yield Problem(
            node_id=lora.node_id,
            node_title=title(prompt, lora.node_id),
            class_type=prompt[lora.node_id]["class_type"],
            input=lora.input,
            message=f"models/{LORAS} has no file {lora.name!r}, and the node would run without it.",
            suggestion=did_you_mean(lora.name, listed_loras(catalog)),
            comfyui_type=None,
            expected=f"a file in models/{LORAS}",
            kind=SKIPPED,
            file=lora.file,
        )
