"""The comparison of verdicts, run on the embedded engine, which answers `POST /prompt` by the same rules."""

from __future__ import annotations

import json
from itertools import islice
from pathlib import Path
from random import Random

import aiohttp
import pytest

from real.verdicts.comparison import Judgement, PromptValidators, VerdictComparison, are_equivalent, compare
from real.verdicts.corpus import VerdictCase, cases, put_files
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
    """Prompts of all groups, but for those about files, are judged over HTTP and by our rules."""
    async with aiohttp.ClientSession() as http:
        async with http.get(f"{engine.url}/object_info") as answer:
            catalog = Catalog.from_object_info(await answer.json())
        chosen = [case for case in cases(catalog, None) if case.group != "files"][::EVERY]
        refused = [case for case in chosen if is_refused(case, catalog)]
        found = await compare(refused[:MOST], PromptValidators(engine.url, catalog, AssumeFiles()), http)
    assert found.differing == []
    assert found.refused == sum(found.total.values()) > MOST / 3
    assert found.equal == found.total


def is_refused(case: VerdictCase, catalog: Catalog) -> bool:
    """Accepted ones would run on this engine, which knows no mark."""
    return not validate(case.prompt, catalog, AssumeFiles()).accepted


def test_prompts_around_a_class_are_accepted() -> None:
    """A good part of all classes gets a prompt that passes as it is, with links of the right types."""
    builder = GraphBuilder(CATALOG)
    made = [prompt for name in sorted(CATALOG) if (prompt := builder.prompt(name))]
    good = [prompt for prompt in made if validate(prompt, CATALOG, AssumeFiles()).accepted]
    assert len(made) > 0.9 * len(CATALOG)
    assert len(good) > 0.5 * len(made)
    assert any(is_link(value) for prompt in good for value in prompt["1"]["inputs"].values())


def test_the_same_catalog_gives_the_same_prompts() -> None:
    """Seeds are fixed, so that two runs compare the same."""
    one, other = (json.dumps([case.prompt for case in islice(cases(CATALOG, None), 0, None, 7)]) for _ in range(2))
    assert one == other


def test_a_mutant_leaves_its_original_as_it_is() -> None:
    """Hundreds of changes of one prompt, most of which differ from it."""
    prompt = GraphBuilder(CATALOG).prompt("KSampler") or {}
    before = json.dumps(prompt)
    mutants = [json.dumps(mutant(prompt, CATALOG, Random(seed))) for seed in range(300)]
    assert json.dumps(prompt) == before
    assert len({*mutants}) > 150


def test_shared_prompts_lose_what_is_not_installed(tmp_path: Path) -> None:
    """A file of the editor's is judged whole and without the nodes of classes that are missing, links included."""
    folder = tmp_path / "truth"
    folder.mkdir()
    nodes = {
        "1": {"class_type": "No Such Class", "inputs": {}},
        "2": {"class_type": "PreviewAny", "inputs": {"source": ["1", 0]}},
    }
    (folder / "a.json").write_text(json.dumps({"output": nodes}))
    shared = [case for case in cases(CATALOG, tmp_path) if case.name.startswith("a")][:2]
    assert [case.prompt for case in shared] == [nodes, {"2": {"class_type": "PreviewAny", "inputs": {}}}]


def test_files_are_put_where_prompts_look_for_them(tmp_path: Path) -> None:
    """Into the folders of inputs and outputs, with an empty folder."""
    put_files({kind: tmp_path / kind for kind in ("input", "output", "temp")})
    assert (tmp_path / "input" / "sub" / "inside.png").is_file()
    assert [*(tmp_path / "input" / "empty").iterdir()] == []


@pytest.mark.parametrize(
    ("one", "other", "alike"),
    [
        ({"1": (("a", "x"),)}, {"1": (("a", "x"),)}, True),
        ({"1": (("a", "x"),)}, {"1": (("a", "y"),)}, False),
        ({"1": (("a", "x"),)}, {}, False),
        ({"1": (("dependency_cycle", ""),), "2": (("a", "x"),)}, {"1": (("dependency_cycle", ""),)}, True),
        ({"1": (("exception_during_validation", "x"),)}, {"1": (("exception_during_inner_validation", "y"),)}, True),
        ({"1": (("exception_during_validation", "x"),)}, {"1": (("a", "y"),)}, False),
    ],
)
def test_what_comfyui_leaves_to_chance_is_no_difference(
    one: dict[str, tuple[tuple[str, str], ...]], other: dict[str, tuple[tuple[str, str], ...]], *, alike: bool
) -> None:
    """Only where both stopped at an exception or a cycle, and only for nodes that one of them does not name."""
    assert are_equivalent(Judgement(400, "e", one), Judgement(400, "e", other)) is alike
    assert not are_equivalent(Judgement(400, "e", one), Judgement(200, None, other))


def test_the_page_lists_what_differs() -> None:
    """The counts by group, and a line for each difference."""
    found = VerdictComparison()
    case = VerdictCase("a case", "class", {})
    found.add(case, Judgement(200, None, {}), Judgement(200, None, {}))
    found.add(case, Judgement(400, "e", {"1": (("kind", "input"),)}), Judgement(200, None, {}))
    assert [*differences(found)] == ["a case (class): ComfyUI says `400 e 1: kind input`, we say `200`"]
    assert "1 of 2 equal; ComfyUI refused 1" in section(found)
