"""The comparison of verdicts on the embedded engine, whose `POST /prompt` uses the same rules."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from random import Random

import aiohttp
import pytest

from real.verdicts.comparison import Judgement, PromptValidators, VerdictComparison, are_equivalent, compare
from real.verdicts.corpus import VerdictCase, put_files, verdict_cases
from real.verdicts.graphs import GraphBuilder
from real.verdicts.mutations import mutant
from real.verdicts.page import differences, section
from tests.engines import EngineHandle
from worker.workflow.catalog.catalog import Catalog
from worker.workflow.prompt import is_link
from worker.workflow.validation.file_check import AssumeFiles
from worker.workflow.validation.validate import validate

CATALOG = Catalog.bundled()
EVERY, MOST = 30, 120


async def test_an_engine_with_our_rules_has_no_differences(engine: EngineHandle) -> None:
    """The embedded engine's verdicts over HTTP equal those of our validation."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{engine.url}/object_info") as answer:
            catalog = Catalog.from_object_info(await answer.json())
        chosen = [case for case in verdict_cases(catalog, None) if case.group != "files"][::EVERY]
        refused = [case for case in chosen if is_rejected(case, catalog)]
        comparison = await compare(refused[:MOST], PromptValidators(engine.url, catalog, AssumeFiles()), http)
    assert comparison.differing == []
    assert comparison.refused == sum(comparison.total.values()) > MOST / 3
    assert comparison.equal == comparison.total


def is_rejected(case: VerdictCase, catalog: Catalog) -> bool:
    """Return whether our rules reject the prompt. An accepted one would run, because this engine ignores the mark."""
    return not validate(case.prompt, catalog, AssumeFiles()).accepted


def test_built_prompts_are_valid() -> None:
    """GraphBuilder builds a prompt for most classes, and more than half of them are valid."""
    builder = GraphBuilder(CATALOG)
    prompts = [prompt for name in sorted(CATALOG) if (prompt := builder.prompt(name))]
    valid = [prompt for prompt in prompts if validate(prompt, CATALOG, AssumeFiles()).accepted]
    assert len(prompts) > 0.9 * len(CATALOG)
    assert len(valid) > 0.5 * len(prompts)
    assert any(is_link(value) for prompt in valid for value in prompt["1"]["inputs"].values())


def test_the_same_catalog_gives_the_same_prompts() -> None:
    """Two runs on the same catalog give the same prompts."""
    one, other = (
        json.dumps([case.prompt for case in islice(verdict_cases(CATALOG, None), 0, None, 7)]) for _ in range(2)
    )
    assert one == other


def test_mutants_do_not_change_their_original() -> None:
    """Mutants differ from their original, which is not changed."""
    prompt = GraphBuilder(CATALOG).prompt("KSampler") or {}
    before = json.dumps(prompt)
    mutants = [json.dumps(mutant(prompt, CATALOG, Random(seed))) for seed in range(300)]
    assert json.dumps(prompt) == before
    assert len({*mutants}) > 150


def test_shared_prompts_without_missing_classes(tmp_path: Path) -> None:
    """A shared prompt is compared unchanged, and without its nodes of missing classes."""
    folder = tmp_path / "truth"
    folder.mkdir()
    nodes = {
        "1": {"class_type": "No Such Class", "inputs": {}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    (folder / "a.json").write_text(json.dumps({"output": nodes}))
    shared = [case for case in verdict_cases(CATALOG, tmp_path) if case.name.startswith("a")][:2]
    assert [case.prompt for case in shared] == [nodes, {"2": {"class_type": "PreviewAny", "inputs": {}}}]


def test_put_files_writes_the_files(tmp_path: Path) -> None:
    """put_files writes the files and an empty folder to the input and output folders."""
    put_files({kind: tmp_path / kind for kind in ("input", "output", "temp")})
    assert (tmp_path / "input" / "sub" / "inside.png").is_file()
    assert [*(tmp_path / "input" / "empty").iterdir()] == []


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ({"1": (("a", "x"),)}, {"1": (("a", "x"),)}, True),
        ({"1": (("a", "x"),)}, {"1": (("a", "y"),)}, False),
        ({"1": (("a", "x"),)}, {}, False),
        ({"1": (("dependency_cycle", ""),), "2": (("a", "x"),)}, {"1": (("dependency_cycle", ""),)}, True),
        ({"1": (("exception_during_validation", "x"),)}, {"1": (("exception_during_inner_validation", "y"),)}, True),
        ({"1": (("exception_during_validation", "x"),)}, {"1": (("a", "y"),)}, False),
    ],
)
def test_random_verdicts_are_equivalent(
    one: dict[str, tuple[tuple[str, str], ...]], other: dict[str, tuple[tuple[str, str], ...]], *, expected: bool
) -> None:
    """Verdicts that stopped at an exception or a cycle are compared only for nodes that both name."""
    assert are_equivalent(Judgement(400, "e", one), Judgement(400, "e", other)) is expected
    assert not are_equivalent(Judgement(400, "e", one), Judgement(200, None, other))


def test_page_lists_differences() -> None:
    """The page has the counts by group, and one line for each difference."""
    comparison = VerdictComparison()
    case = VerdictCase("a case", "class", {})
    comparison.add(case, Judgement(200, None, {}), Judgement(200, None, {}))
    comparison.add(case, Judgement(400, "e", {"1": (("kind", "input"),)}), Judgement(200, None, {}))
    assert [*differences(comparison)] == ["a case (class): ComfyUI's verdict is `400 e 1: kind input`, ours is `200`"]
    assert "1 of 2 verdicts are equal. ComfyUI rejected 1" in section(comparison)
