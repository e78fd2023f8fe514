"""Tests of the figures and the document of the benchmark, without measuring anything."""

from __future__ import annotations

import pytest

from bench.document import INTRODUCTION, BenchRun, with_section
from bench.finding import Measurement
from bench.measurements.peers import PeerResult
from bench.servers.served import DIALECTS, JobFailedError, Peer
from bench.spread import Spread

ONE = Spread.of([1.0])


def test_a_ratio_is_taken_round_by_round() -> None:
    """`Spread.ratio` returns the median of the rounds' ratios, not the ratio of the medians."""
    assert Spread.ratio([2.0, 20.0, 3.0], [1.0, 10.0, 1.0]) == Spread(2.0, 2.0, 2.5)


def test_a_target_is_missed_by_the_median() -> None:
    """A target is missed when the median misses it, and nothing is missed without a target."""
    above = Spread(1.2, 1.0, 1.3)
    assert Measurement("", "", "", above, at_most=1.1).missed
    assert not Measurement("", "", "", above, at_most=1.2).missed
    assert Measurement("", "", "", above, at_least=1.3).missed
    assert not Measurement("", "", "", above).missed


def test_a_target_for_the_lower_quartile() -> None:
    """A target for the lower quartile is missed when more than a quarter of the rounds is worse."""
    spread = Spread.of([0.5, 0.9, 1.0, 1.1, 1.2])
    assert (spread.low, spread.median, spread.high) == (0.9, 1.0, 1.1)
    assert not Measurement("", "", "", spread, at_least=1.0, quartile_at_least=0.9).missed
    assert Measurement("", "", "", spread, at_least=1.0, quartile_at_least=0.95).missed


def run_of(engine: str, what: str) -> BenchRun:
    standing = PeerResult("peer", ONE, ONE, ONE, ONE, ONE)
    return BenchRun(engine, [Measurement(what, "1 ms", "2 ms", ONE, at_most=2.0)], [standing], [("processor", "some")])


def test_a_run_replaces_only_the_section_of_its_engine() -> None:
    """A run replaces the earlier section of its engine and leaves the sections of other engines."""
    document = with_section("", run_of("the embedded engine", "first"))
    document = with_section(document, run_of("ComfyUI 0.33.0", "real"))
    document = with_section(document, run_of("the embedded engine", "second"))
    assert document.startswith(INTRODUCTION)
    assert "| real | 1 ms | 2 ms | 1.00 x (1.00 .. 1.00) | <= 2.00 x | yes |" in document
    assert "second" in document
    assert "first" not in document
    assert document.count("## In front of") == 2
    assert document.count("## Public peers in front of") == 2
    assert with_section(document, run_of("the embedded engine", "second")) == document


def test_a_peer_is_named_with_its_dialect() -> None:
    """`Peer.read` accepts NAME=DIALECT=URL with equals signs in the URL, and rejects an unknown dialect."""
    assert Peer.read("salad=salad=http://h/prompt?a=b") == Peer("salad", "salad", "http://h/prompt?a=b")
    with pytest.raises(ValueError, match="soap"):
        Peer.read("x=soap=http://h")


@pytest.mark.parametrize(
    ("dialect", "answer"),
    [
        ("native", {"outputs": [{"data": "QQ=="}]}),
        ("vast", {"output": [{"data": "QQ=="}]}),
        ("runpod", {"output": {"images": [{"data": "QQ=="}]}}),
        ("salad", {"images": ["QQ=="]}),
    ],
)
def test_a_response_without_an_image_is_an_error(dialect: str, answer: dict) -> None:
    """Each dialect finds the images in a response, and raises JobFailedError when there are none."""
    DIALECTS[dialect].decode(answer)
    for nothing in ({}, {"outputs": [], "output": [], "images": []}, {"error": "no"}):
        with pytest.raises(JobFailedError):
            DIALECTS[dialect].decode(nothing)
