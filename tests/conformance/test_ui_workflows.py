"""Comparison of converted workflows with the editor's own prompts (frontend 1.49.6 on ComfyUI 0.33.0)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

import orjson
import pytest

from tests.conformance.comparison.graphs import are_isomorphic, nodes_of
from tests.conformance.test_verdicts import DATA, recorded_catalog, reduced_catalog
from tests.workflow.editor.spoiled_workflows import spoiled_copy
from tests.workflow.editor.workflow_builder import convert_or_error
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.editor import ConversionContext, convert

pytestmark = pytest.mark.conformance

EXPLAINED = {
    "hand__06_groupnode": "the editor loses half of a group node's values and links, see docs/workflows-ui.md",
    "hand__15_optional_and_defaults": "the catalog lists a file that the editor's server didn't have",
}
PAIRS = 214
SPOILED, PARTS = 10_000, 20
LARGEST = 100_000
"""Maximum size in bytes of a workflow that is damaged and converted. Larger ones take too long to copy."""


@cache
def saved_files() -> list[Path]:
    """Return the workflow files. Raises FileNotFoundError when the data is incomplete."""
    names = [row["name"] for row in orjson.loads((DATA / "ui-workflows" / "index.json").read_bytes())]
    assert len(names) == PAIRS
    return [DATA / "ui-workflows" / "ui" / f"{name}.json" for name in names]


def compared(catalog: Catalog) -> Iterator[tuple[str, bool, bool]]:
    """Yield the name of each workflow, whether the graphs are equal, and whether the node ids are equal too."""
    for path in saved_files():
        expected = orjson.loads((path.parent.parent / "api" / path.name).read_bytes())
        converted_prompt = convert(orjson.loads(path.read_bytes()), catalog, ConversionContext(Random(0))).prompt
        one, other = nodes_of(converted_prompt, recorded_catalog()), nodes_of(expected, recorded_catalog())
        yield path.stem, are_isomorphic(one, other), one == other


@pytest.mark.parametrize("kind", ["recorded", "reduced"])
def test_the_editors_prompts(kind: str, record_property: Any) -> None:
    """Workflows are converted to the editor's graphs with either catalog, except for explained ones."""
    rows = list(compared(recorded_catalog() if kind == "recorded" else reduced_catalog()))
    real = [row for row in rows if not row[0].startswith("hand__")]
    wrong = {name for name, graph, _ in rows if not graph}
    same_ids = sum(ids for _, _, ids in real)
    print(f"\n{kind}: {len(rows) - len(wrong)} of {len(rows)} graphs, {same_ids} of {len(real)} with the same ids")
    assert wrong <= set(EXPLAINED)
    assert same_ids >= 0.95 * len(real)


@pytest.mark.parametrize("part", range(PARTS))
def test_damaged_workflows(part: int) -> None:
    """Ten thousand damaged workflows give a prompt or an error with a message."""
    rng = Random(part)
    files = [path.read_bytes() for path in saved_files()]
    files = [file for file in files if len(file) < LARGEST]
    converted = 0
    for _ in range(SPOILED // PARTS):
        prompt, refusal = convert_or_error(spoiled_copy(rng.choice(files), rng), recorded_catalog())
        assert prompt or refusal
        converted += bool(prompt)
    assert SPOILED // PARTS // 2 < converted < SPOILED // PARTS
