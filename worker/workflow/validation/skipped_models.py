"""Models that are not there: those that a node would leave out without an error, and those that ComfyUI refuses."""

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
"""The kind of these problems. ComfyUI takes the prompt and reports success."""
LISTS = frozenset({"LoraLoader"})
"""The classes whose choices say what is there."""


def skipped_model_problems(prompt: Prompt, catalog: Catalog, files: FileCheck | None) -> Iterator[Problem]:
    """Yield a problem for each LoRA that a node loads by a name inside of a value, and that is not there."""
    for lora in named_loras(prompt, catalog):
        if lora.listed or not lora.is_certain or (files is not None and files.exists(LORAS, lora.file)):
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
    """Return what ComfyUI refuses as files that are not there; None where something else is wrong as well.

    For loaders of packs, whose choices only ComfyUI itself can be sure of.
    """
    told = [_missing_file(problem, prompt) for problem in problems]
    found = [problem for problem in told if problem is not None]
    return found if found and len(found) == len(told) else None


def _missing_file(problem: Problem, prompt: Prompt) -> Problem | None:
    node = prompt.get(problem.node_id or "")
    folders = folders_of(problem.class_type or "", problem.input or "")
    value = node["inputs"].get(problem.input or "") if node else None
    is_file = isinstance(value, str) and names_model(value) and folders and not NOT_FILES & set(folders)
    if problem.kind != "value_not_in_list" or not is_file:
        return None
    return replace(problem, message=f"models/{folders[0]} has no file {value!r}.")
