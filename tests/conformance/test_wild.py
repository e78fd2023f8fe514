"""Comparison of shared workflows with the prompts that the real editor makes of them with the packs' scripts.

`score.py`, which is part of the data, decides what counts as equal. Its `clean`, `diff` and `noise` are used unchanged.
"""

from __future__ import annotations

from functools import cache
from importlib import util
from pathlib import Path
from types import ModuleType
from typing import Any

import orjson
import pytest

from tests.conformance.test_verdicts import DATA
from worker.errors import CannotConvert
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import convert
from worker.workflow.json_value import Json

pytestmark = pytest.mark.conformance

WILD = DATA / "wild"
SHARED, RULES = 146, 26
REFUSED = {"mxslider_unknown": "a class of no pack of that server"}
RENAMED = {"conditioning_average_blank": "the editor of that version does not know the class's old name"}


@cache
def score() -> ModuleType:
    """Load score.py, which is part of the data."""
    spec = util.spec_from_file_location("wild_score", WILD / "score.py")
    assert spec
    assert spec.loader
    module = util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@cache
def object_info() -> dict[str, Any]:
    return orjson.loads((WILD / "object_info.json").read_bytes())


@cache
def catalog() -> Catalog:
    return Catalog.from_object_info(object_info())


@cache
def files(folder: Path) -> list[Path]:
    """Return the workflow files with a recorded prompt. Raises AssertionError when the data is incomplete."""
    paths = sorted(path for path in folder.glob("*.json") if truth_of(path).exists())
    assert len(paths) == (RULES if folder.name == "min" else SHARED)
    return paths


def truth_of(path: Path) -> Path:
    """Return the path of the editor's prompt for a workflow file."""
    return (path.parent if path.parent.name == "min" else path.parent.parent) / "truth" / path.name


def differences(path: Path) -> list[tuple[Json, ...]]:
    """Return the differences from the editor's prompt. Random values and different ids are none."""
    expected = orjson.loads(truth_of(path).read_bytes())["output"]
    actual = orjson.loads(orjson.dumps(convert(orjson.loads(path.read_bytes()), catalog()).prompt))
    cleaned = [score().clean(prompt, object_info(), "undeclared") for prompt in (expected, actual)]
    real = [one for one in score().diff(*cleaned) if not score().noise(one)]
    return [] if score().canon(cleaned[0]) == score().canon(cleaned[1]) else real


def test_rules_of_packs() -> None:
    """A workflow for each rule of a node pack is converted to the editor's prompt."""
    compared = [path for path in files(WILD / "min") if path.stem not in {*REFUSED, *RENAMED}]
    assert {path.stem: differences(path) for path in compared} == {path.stem: [] for path in compared}


def test_unknown_and_renamed_classes() -> None:
    """An unknown class is rejected by name, and a renamed class is converted."""
    for name in REFUSED:
        with pytest.raises(CannotConvert, match="not in the catalog"):
            convert(orjson.loads((WILD / "min" / f"{name}.json").read_bytes()), catalog())
    for name in RENAMED:
        prompt = convert(orjson.loads((WILD / "min" / f"{name}.json").read_bytes()), catalog()).prompt
        assert all(node["class_type"] in catalog() for node in prompt.values())


def test_shared_workflows() -> None:
    """Shared workflows are converted to the editor's prompts, except for differences that the packs correct."""
    index = {row["name"]: row["feats"] for row in orjson.loads((WILD / "index.json").read_bytes())}
    wrong: dict[str, object] = {}
    for path in files(WILD / "ui"):
        try:
            real = differences(path)
        except CannotConvert as error:
            wrong[path.stem] = error.message
            continue
        grouped = "group_node" in index.get(path.stem, ())
        if path.stem not in score().RIG_ARTEFACTS and not all(score().harmless(one, grouped) for one in real):
            wrong[path.stem] = real[:3]
    print(f"\n{SHARED - len(wrong)} of {SHARED} shared workflows")
    assert wrong == {}


def test_warnings_are_rare() -> None:
    """At most 6 shared workflows have a value that no input accepts."""
    warned = {}
    for path in files(WILD / "ui"):
        try:
            warnings = convert(orjson.loads(path.read_bytes()), catalog()).warnings
        except CannotConvert:
            continue
        left = [one for one in warnings if "no input takes" in one.message]
        if left:
            warned[path.stem] = {(one.class_type, one.message) for one in left}
    print("\n" + "\n".join(f"{name}: {warnings}" for name, warnings in warned.items()))
    assert len(warned) <= 6
