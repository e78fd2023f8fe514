"""Hashes of what the results of nodes depend on."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.workflow.prompts import link, node, sampled, saved
from worker.load.features.ancestry import ancestry, without_input_files
from worker.load.features.prompt_graph import PromptGraph
from worker.load.work import job_work
from worker.workflow.prompt import Prompt


def hashes(prompt: Prompt) -> dict[str, bytes]:
    """Return the hash of each node."""
    return job_work(prompt).ancestry


def changed(node_id: str, **inputs: Any) -> set[str]:
    """Return the nodes whose hash differs if these inputs of a node change."""
    prompt = copy.deepcopy(sampled())
    before = hashes(prompt)
    prompt[node_id]["inputs"] |= inputs
    after = hashes(prompt)
    return {each for each in prompt if before[each] != after[each]}


@pytest.mark.parametrize(
    ("node_id", "inputs", "differs"),
    [
        ("3", {"seed": 2}, {"3", "8", "9"}),
        ("6", {"text": "b"}, {"6", "3", "8", "9"}),
        ("8", {"vae": link("4", 1)}, {"8", "9"}),
        ("9", {"filename_prefix": "y"}, {"9"}),
        ("3", {"seed": 1}, set()),
        ("3", {"seed": 1.0}, set()),
        ("3", {"seed": 1.5}, {"3", "8", "9"}),
    ],
)
def test_a_change_reaches_the_nodes_behind_it(node_id: str, inputs: dict[str, Any], differs: set[str]) -> None:
    """A changed input changes the hash of its node and of all nodes that depend on it."""
    assert changed(node_id, **inputs) == differs


def test_ids_and_the_order_of_inputs_do_not_count() -> None:
    """The same nodes with other ids have the same hashes, as in ComfyUI's cache."""
    one = {"1": node("EmptyImage", width=64, height=32), "2": saved("1")}
    other = {"b": saved("a"), "a": node("EmptyImage", height=32, width=64)}
    assert set(hashes(one).values()) == set(hashes(other).values())


def test_the_branch_that_a_switch_ignores_counts_as_a_value() -> None:
    """Cycles and links to missing nodes have hashes, which differ between nodes."""
    cycle = {"1": node("A", x=link("2")), "2": node("B", x=link("1")), "3": node("A", x=link("9"))}
    assert len(set(hashes(cycle).values())) == 3


def test_a_long_chain_is_hashed() -> None:
    """A chain of thousands of nodes does not exceed the stack."""
    prompt = {"0": node("A", x=1)} | {str(i): node("A", x=link(str(i - 1))) for i in range(1, 5000)}
    assert len(set(hashes(prompt).values())) == 5000


def test_results_of_input_files_have_no_hash() -> None:
    """Before the files of a job have their paths, no result that depends on one counts as equal to another."""
    prompt = sampled() | {
        "10": node("LoadImage", image="a.png"),
        "11": node("VAEEncode", pixels=link("10"), vae=link("4", 2)),
        "12": node("PreviewImage", images=link("10")),
    }
    prompt["3"]["inputs"]["latent_image"] = link("11")
    graph = PromptGraph(prompt)
    assert prompt.keys() - without_input_files(graph, ancestry(graph)) == {"10", "11", "12", "3", "8", "9"}
