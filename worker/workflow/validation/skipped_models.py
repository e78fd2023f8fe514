"""Problems with missing models: those that a node would skip without an error, and those that ComfyUI rejects."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from worker.workflow.catalog.catalog import Catalog
from worker.workflow.catalog.folders import folders_of
from worker.workflow.loras import LORAS, listed_loras, named_loras
from worker.workflow.model_needs import NOT_FILES, names_model
from worker.workflow.nearest import did_you_mean
from worker.workflow.prompt import Prompt, title
from worker.workflow.validation.explain import Problem
from worker.workflow.validation.file_check import FileCheck

SKIPPED = "model_skipped"
"""The kind of problems with models that a node would skip. ComfyUI itself runs such a prompt and reports success."""
LISTS = frozenset({"LoraLoader"})
"""Classes whose choices list the existing LoRAs."""


def skipped_model_problems(prompt: Prompt, catalog: Catalog, files: FileCheck | None) -> Iterator[Problem]:
    """Yield a problem for each missing LoRA that a node names inside of a value, where ComfyUI does not check it.

    LoRAs that the node may not load are omitted.
    """
    for lora in named_loras(prompt, catalog):
        exists = lora.listed or (files is not None and files.exists(LORAS, lora.file))
        if exists or not lora.is_certain:
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


def missing_files(problems: Sequence[Problem], prompt: Prompt) -> list[Problem] | None:
    """Return the problems with messages about missing model files. Return None if any is about something else.

    Also return None if there are no problems. `problems` come from a rejection by ComfyUI, because only ComfyUI knows
    all choices of the loaders of node packs.
    """
    file_problems = [_missing_file(problem, prompt) for problem in problems]
    missing = [problem for problem in file_problems if problem is not None]
    return missing if missing and len(missing) == len(problems) else None


def _missing_file(problem: Problem, prompt: Prompt) -> Problem | None:
    """Return the problem with a message about a missing model file, or None if it is not about one."""
    node = prompt.get(problem.node_id or "")
    folders = folders_of(problem.class_type or "", problem.input or "")
    value = node["inputs"].get(problem.input or "") if node else None
    lists_models = bool(folders) and not NOT_FILES & set(folders)
    is_model_file = isinstance(value, str) and names_model(value) and lists_models
    if problem.kind != "value_not_in_list" or not is_model_file:
        return None
    return replace(problem, message=f"models/{folders[0]} has no file {value!r}.")
