"""cg-use-everywhere: the filters by title, input and group, and their limits."""

from __future__ import annotations

from typing import Any

import pytest

from tests.workflow.editor.packs.senders import (
    CATALOG,
    canvas,
    sender,
    sent,
    settings,
)
from tests.workflow.editor.workflow_builder import WorkflowBuilder
from worker.errors import CannotConvert
from worker.workflow.editor import convert


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)*b", "a*a*a*a*a*b", "x" * 600, "a?" * 9 + "a" * 9])
def test_filters_that_would_take_too_long(pattern: str) -> None:
    """They are refused before they are tried."""
    with pytest.raises(CannotConvert, match="too complex"):
        sent(settings(title_regex=pattern))


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
def test_filters_of_javascript(pattern: Any, reaches: bool) -> None:
    """What is no regular expression there filters nothing."""
    assert sent(settings(title_regex=pattern)) == (["1", 0] if reaches else None)


def test_many_filters_that_take_long() -> None:
    """All filters of a workflow share one limit."""
    drawing = WorkflowBuilder()
    canvas(drawing)
    for number in range(2, 100):
        drawing.node(number, "Blur", [1.0], title="a" * 150 + str(number))
    sender(drawing, 200, 1, properties=settings(title_regex="a.*a.*a.*b"))
    with pytest.raises(CannotConvert, match="too long"):
        convert(drawing.saved(), CATALOG)


def test_many_groups_take_no_time() -> None:
    """Where each node stands is found once, and a workflow with far more than anybody draws is refused."""
    drawing = WorkflowBuilder()
    canvas(drawing, pos=[100, 100], size=[10, 10])
    for number in range(2, 152):
        drawing.node(number, "Blur", [1.0], pos=[100, 100], size=[10, 10])
        sender(drawing, 200 + number, 1, properties=settings(group_restricted=1), pos=[100, 100], size=[10, 10])
    groups = [{"title": "G", "bounding": [0, 0, 500, 500]}] * 150
    convert({**drawing.saved(), "groups": groups}, CATALOG)
    with pytest.raises(CannotConvert, match="too many nodes"):
        convert({**drawing.saved(), "groups": groups * 100}, CATALOG)
