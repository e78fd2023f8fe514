"""Guessing the name that was meant."""

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
def test_the_most_similar_name_wins(name: str, meant: str | None) -> None:
    """Case, folder and suffix don't count, unlike names give nothing, and endless ones take no time."""
    assert nearest(name, FILES) == meant


def test_the_guess_is_a_question() -> None:
    """did_you_mean asks, and says nothing where nothing is near."""
    assert did_you_mean("KSampelr", ["KSampler", "SaveImage"]) == "Did you mean 'KSampler'?"
    assert did_you_mean("KSampelr", []) is None


def test_the_name_that_differs_least_is_preferred() -> None:
    """A name that is equal but for its case goes before one that is equal but for its folder or its suffix."""
    assert nearest("A.ckpt", ["a.safetensors", "x/a.ckpt", "a.ckpt"]) == "a.ckpt"
    assert nearest("A.ckpt", ["a.safetensors", "x/a.ckpt"]) == "x/a.ckpt"
    assert nearest("A.ckpt", ["ab.safetensors", "a.safetensors"]) == "a.safetensors"


def test_short_names_that_differ_in_a_letter_are_not_near() -> None:
    """A class or a node id of a few letters is never taken for another one."""
    assert nearest("12", ["1", "2", "121212"]) is None
    assert nearest("BrokenPackNode", ["OpenAIChatNode", "PackNode"]) is None
