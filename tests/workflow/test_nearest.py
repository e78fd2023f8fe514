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
        ("completely different", None),
        ("x" * 100_000, None),
    ],
)
def test_the_most_similar_name_wins(name: str, meant: str | None) -> None:
    """Case and folders don't count, unlike names give nothing, and endless ones take no time."""
    assert nearest(name, FILES) == meant


def test_the_guess_is_a_question() -> None:
    """did_you_mean asks, and says nothing where nothing is near."""
    assert did_you_mean("KSampelr", ["KSampler", "SaveImage"]) == "Did you mean 'KSampler'?"
    assert did_you_mean("KSampelr", []) is None
