"""Tests of the filters of cg-use-everywhere and their limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.packs.senders import (
    CATALOG,
    add_canvas,
    add_sender,
    received_image,
    settings,
)
from tests.workflow.editor.workflow_builder import WorkflowBuilder
from worker.errors import CannotConvert
from worker.workflow.editor import convert


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "a*a*a*a*a*b", "x" * 600, "a?" * 9 + "a" * 9])
def test_complex_filters_are_rejected(pattern: str) -> None:
    """convert rejects a filter that could take too long before it is used."""
    with pytest.raises(CannotConvert, match="too complex"):
        received_image(settings(title_regex=pattern))


@pytest.mark.parametrize(
    ("pattern", "reaches"),
    [
        ("(_|\\b)pos(itive|_|\\b)|my", True),
        ("^(?!.*other).*$", True),
        ("[a-z+*]{2} b", True),
        ("(?<part>m)y", True),
        ("(?i)MY", True),
        ("MY", False),
        (12, False),
    ],
)
def test_javascript_expressions(pattern: Any, reaches: bool) -> None:
    """convert ignores filters that are not valid in JavaScript."""
    assert received_image(settings(title_regex=pattern)) == (["1", 0] if reaches else None)


def test_all_filters_share_one_limit() -> None:
    """convert rejects a workflow whose filters together could take too long."""
    builder = WorkflowBuilder()
    add_canvas(builder)
    for number in range(2, 100):
        builder.node(number, "Blur", [1.0], title="a" * 150 + str(number))
    add_sender(builder, 200, 1, properties=settings(title_regex="a.*a.*a.*b"))
    with pytest.raises(CannotConvert, match="too long"):
        convert(builder.saved(), CATALOG)


def test_many_groups() -> None:
    """convert computes the groups of nodes once, and rejects a workflow with too many of them."""
    builder = WorkflowBuilder()
    add_canvas(builder, pos=[100, 100], size=[10, 10])
    for number in range(2, 152):
        builder.node(number, "Blur", [1.0], pos=[100, 100], size=[10, 10])
        add_sender(builder, 200 + number, 1, properties=settings(group_restricted=1), pos=[100, 100], size=[10, 10])
    groups = [{"title": "G", "bounding": [0, 0, 500, 500]}] * 150
    convert({**builder.saved(), "groups": groups}, CATALOG)
    with pytest.raises(CannotConvert, match="too many nodes"):
        convert({**builder.saved(), "groups": groups * 100}, CATALOG)
