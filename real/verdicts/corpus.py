"""The prompts whose verdicts are compared: shared prompts, one prompt for each class, and mutants of both.

The same catalog always gives the same prompts.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import orjson

from real.verdicts.graphs import GraphBuilder
from real.verdicts.mutations import file_mutant, mutant
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import is_link
from worker.workflow.validation.packs.node_validators import NODE_VALIDATORS

SEED = 33
WITHOUT_MISSING = "without missing classes"
MUTANTS = {WITHOUT_MISSING: 6, "class": 2}
FILE_MUTANTS = 24
HOOKED: dict[str, dict[str, Any]] = {
    "ImpactSwitch": {"sel_mode": True, "select": 2, "input1": ["no such", 0], "input2": ["2", 0], "input3": ["3", 0]},
    "LatentSwitch": {"sel_mode": True, "select": 1, "input1": ["2", 0], "input2": ["2", 9]},
    "ImpactConditionalBranchSelMode": {"sel_mode": True, "cond": True, "tt_value": ["2", 0], "ff_value": ["2", 9]},
    "ImpactInversedSwitch": {"sel_mode": True, "select": 2, "input": ["2", 0]},
    "ImpactRemoteInt": {"node_id": "2", "widget_name": "width", "value": 0},
    "ImageReceiver": {"save_to_workflow": True, "image": "missing.png"},
    "LoadImage //Inspire": {"image": "missing.png"},
    "PromptBuilder //Inspire": {"category": "no such"},
    "WildcardEncode //Inspire": {"mode": True},
    "MakeBasicPipe //Inspire": {"wildcard_mode": "populate"},
    "ImpactWildcardProcessor": {"populated_text": "", "mode": True},
}
"""Classes whose packs change the prompt before it is validated, with inputs that cause a change."""
HOOK_MUTANTS = 12
FOLDERS = {
    "input": ("sub/inside.png", "clip.mp4", "notes.txt", "3d/model.glb"),
    "output": ("made.png",),
}
"""Empty files that exist while prompts are compared, by folder. The input folder also has an empty folder `empty`."""


@dataclass(frozen=True, slots=True)
class VerdictCase:
    """One prompt to compare. `group` is the row of the page in which it is counted."""

    name: str
    group: str
    prompt: Any


def verdict_cases(catalog: Catalog, shared: Path | None) -> Iterator[VerdictCase]:
    """Yield all prompts, in the same order each time.

    `shared` is a folder of prompts that the editor made (`truth/*.json` at any depth), or None.
    """
    originals = [*_shared_cases(shared, catalog)] if shared else []
    originals += _class_cases(catalog)
    yield from originals
    for case in originals:
        rng = Random(f"{SEED} {case.name}")
        for number in range(MUTANTS.get(case.group, 0)):
            yield VerdictCase(f"{case.name} #{number}", f"{case.group}, changed", mutant(case.prompt, catalog, rng))
    yield from _file_cases(catalog)
    yield from _hook_cases(catalog)


def put_files(folders: dict[str, Path]) -> None:
    """Write the files of `FOLDERS` to the folders of these names."""
    for kind, names in FOLDERS.items():
        for name in names:
            path = folders[kind] / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(b"")
    (folders["input"] / "empty").mkdir(exist_ok=True)


def _shared_cases(folder: Path, catalog: Catalog) -> Iterator[VerdictCase]:
    """Yield up to two cases for each shared prompt: the prompt itself, and it without the nodes of missing classes."""
    for path in sorted(folder.rglob("truth/*.json")):
        prompt = orjson.loads(path.read_bytes()).get("output")
        if not isinstance(prompt, dict) or not prompt:
            continue
        yield VerdictCase(path.stem, "shared", prompt)
        reduced = _without_missing(prompt, catalog)
        if reduced:
            yield VerdictCase(f"{path.stem} without missing classes", WITHOUT_MISSING, reduced)


def _without_missing(prompt: dict[str, Any], catalog: Catalog) -> dict[str, Any]:
    """Return the prompt without nodes of missing classes, and without the links to them."""
    installed = {node_id: node for node_id, node in prompt.items() if node.get("class_type") in catalog}
    return {
        node_id: {
            **node,
            "inputs": {
                name: value for name, value in node["inputs"].items() if not is_link(value) or value[0] in installed
            },
        }
        for node_id, node in installed.items()
    }


def _class_cases(catalog: Catalog) -> Iterator[VerdictCase]:
    """Yield a valid prompt for each class whose output a node can show."""
    builder = GraphBuilder(catalog)
    for name in sorted(catalog):
        prompt = builder.prompt(name)
        if prompt:
            yield VerdictCase(name, "class", prompt)


def _file_cases(catalog: Catalog) -> Iterator[VerdictCase]:
    """Yield prompts with file names of all kinds, for each class that checks files itself."""
    builder = GraphBuilder(catalog)
    for name in sorted(set(NODE_VALIDATORS) & set(catalog)):
        prompt, validator = builder.prompt(name), NODE_VALIDATORS[name]
        rng = Random(f"{SEED} files of {name}")
        for number in range(FILE_MUTANTS if prompt else 0):
            for argument in validator.required:
                yield VerdictCase(
                    f"{name}.{argument} #{number}", "files", file_mutant(prompt or {}, "1", argument, rng)
                )


def _hook_cases(catalog: Catalog) -> Iterator[VerdictCase]:
    """Yield prompts that a pack changes before they are validated."""
    builder = GraphBuilder(catalog)
    for name in sorted(set(HOOKED) & set(catalog)):
        prompt = builder.prompt(name)
        if not prompt:
            continue
        prompt["1"]["inputs"] |= HOOKED[name]
        for extra in ("2", "3"):
            node = {"class_type": "EmptyImage", "inputs": {"width": 8, "height": 8, "batch_size": 1, "color": 0}}
            prompt.setdefault(extra, node)
        prompt["shown"] = {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}}
        yield VerdictCase(f"{name}, before the run", "hooks", prompt)
        rng = Random(f"{SEED} hooks of {name}")
        for number in range(HOOK_MUTANTS):
            yield VerdictCase(f"{name}, before the run #{number}", "hooks", mutant(prompt, catalog, rng))
