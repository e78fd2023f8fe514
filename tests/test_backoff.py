"""Tests of the backoff."""

from __future__ import annotations

import ast
from itertools import islice

import pytest

from tests.test_architecture import FILES, module_name
from worker.backoff import Backoff


def longest(first_s: float, longest_s: float, factor: float = 2.0) -> Backoff:
    return Backoff(first_s, longest_s, factor, chance=lambda: 1.0)


@pytest.mark.parametrize(
    ("backoff", "pauses"),
    [
        (longest(0.5, 10), [0.5, 1, 2, 4, 8, 10, 10]),
        (longest(5, 10_000, 4), [5, 20, 80, 320]),
        (longest(30, 30), [30, 30, 30]),
        (longest(0, 0), [0, 0, 0]),
    ],
)
def test_pauses_grow_to_the_longest(backoff: Backoff, pauses: list[float]) -> None:
    """Each step is the previous one times the factor, up to the longest."""
    assert list(islice(backoff.pauses(), len(pauses))) == pauses
    assert [backoff.pause(number) for number in range(1, len(pauses) + 1)] == pauses


@pytest.mark.parametrize(("chance", "share"), [(0.0, 0.5), (0.5, 0.75), (1.0, 1.0)])
def test_a_pause_is_at_least_half_of_its_step(chance: float, share: float) -> None:
    """A pause is between half of its step and the whole step."""
    assert Backoff(2, 60, chance=lambda: chance).pause(3) == pytest.approx(8 * share)


def test_pauses_differ_between_two_that_failed_together() -> None:
    """Two instances have different pauses."""
    assert list(islice(Backoff(1, 60).pauses(), 8)) != list(islice(Backoff(1, 60).pauses(), 8))


@pytest.mark.parametrize("failures", [-1, 0, 1, 10**6])
def test_any_number_of_failures_has_a_pause(failures: int) -> None:
    """`pause` accepts zero, negative and very large numbers of failures."""
    assert 0.5 <= Backoff(1, 60).pause(failures) <= 60


def test_no_module_has_a_schedule_of_its_own() -> None:
    """No other module of the worker calculates pauses."""
    strays = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Tuple()) if name.endswith(("_S", "_s")):
                    strays.append(f"{module_name(path)}.{name}")
                case ast.AugAssign(target=ast.Name(id=name), op=ast.Mult()) if "pause" in name:
                    strays.append(f"{module_name(path)}: {name}")
                case ast.BinOp(op=ast.Mult() | ast.Pow()) if {"pause", "PAUSE_S", "pause_s"} & {
                    name.id for name in ast.walk(node) if isinstance(name, ast.Name)
                }:
                    strays.append(f"{module_name(path)}: {ast.unparse(node)}")
    assert not strays
