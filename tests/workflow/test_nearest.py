"""Suggestions for misspelled names."""

from __future__ import annotations

import pytest

from worker.workflow.nearest import did_you_mean, nearest

FILES = ["sdxl/juggernautXL_v9.safetensors", "v1-5-pruned.safetensors", "flux1-dev.safetensors"]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("v1-5-prunned.safetensors", "v1-5-pruned.safetensors"),
        ("JUGGERNAUTXL_V9.safetensors", "sdxl/juggernautXL_v9.safetensors"),
        ("models\\flux1-dev.safetensor", "flux1-dev.safetensors"),
        ("other/flux1-dev.gguf", "flux1-dev.safetensors"),
        ("flux1-dev", "flux1-dev.safetensors"),
        ("flux2-pro.safetensors", None),
        ("nope.safetensors", None),
        ("v1.safetensors", None),
        ("sdxl/other.safetensors", None),
        ("completely different", None),
        ("x" * 100_000, None),
    ],
)
def test_nearest_returns_the_most_similar_name(name: str, meant: str | None) -> None:
    """Case, folder and suffix are ignored. Different names give None, and long names take little time."""
    assert nearest(name, FILES) == meant


def test_did_you_mean_returns_a_question() -> None:
    """did_you_mean returns a question, or None without a similar name."""
    assert did_you_mean("KSampelr", ["KSampler", "SaveImage"]) == "Did you mean 'KSampler'?"
    assert did_you_mean("KSampelr", []) is None


def test_nearest_prefers_the_smallest_difference() -> None:
    """A name that differs only in case is preferred to one that differs in folder or suffix."""
    assert nearest("A.ckpt", ["a.safetensors", "x/a.ckpt", "a.ckpt"]) == "a.ckpt"
    assert nearest("A.ckpt", ["a.safetensors", "x/a.ckpt"]) == "x/a.ckpt"
    assert nearest("A.ckpt", ["ab.safetensors", "a.safetensors"]) == "a.safetensors"


def test_short_names_need_an_exact_match() -> None:
    """A short class name or node id with another letter is not similar."""
    assert nearest("12", ["1", "2", "121212"]) is None
    assert nearest("BrokenPackNode", ["OpenAIChatNode", "PackNode"]) is None
