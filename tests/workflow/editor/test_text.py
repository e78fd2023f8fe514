"""Texts, as they are when the prompt is made."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest

from tests.workflow.editor.workflow_builder import CATALOG, WorkflowBuilder, convert_or_error
from worker.workflow.editor import ConversionContext, convert
from worker.workflow.editor.text import expand_choices


@pytest.mark.parametrize(
    ("text", "drawn"),
    [
        ("plain", "plain"),
        ("a {b} c", "a b c"),
        (r"a \{b\} \| c", "a {b} | c"),
        ("see https://x.org", "see https:"),
        ("a /* b\nc */ d // e\nf", "a  d \nf"),
        ("a {b", "a b"),
        ("a } b | c", "a } b | c"),
        ("{}", ""),
        ("{{{x}}}", "x"),
        ("end\\", "end\\undefined"),
        (r"a\b", r"a\b"),
    ],
)
def test_what_is_certain(text: str, drawn: str) -> None:
    """Comments go, braces open, a backslash keeps what is behind it."""
    assert expand_choices(text, Random(0)) == drawn


def test_choices_are_drawn() -> None:
    """Each of them comes up, inner ones too, and nothing else."""
    rng = Random(0)
    assert {expand_choices("{a|b{c|d}|}", rng) for _ in range(100)} == {"a", "bc", "bd", ""}


def test_only_where_the_class_asks_for_it() -> None:
    """Other texts are left alone."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Say", ["{a}"])
    drawing.node(2, "Quote", ["{a}"])
    assert [drawing.inputs_of(number)["text"] for number in (1, 2)] == ["a", "{a}"]


@pytest.mark.parametrize("text", ["{" * 5000, "{a|" * 3000 + "}" * 3000, "|" * 10, "\\" * 4001, "{|}" * 200_000])
def test_choices_that_nobody_means(text: str) -> None:
    """Are drawn or refused, soon."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Say", [text])
    prompt, refusal = convert_or_error(drawing.saved())
    assert prompt or "{…|…}" in refusal


def test_names_of_files_are_filled_in() -> None:
    """`%Node.field%` by the name for search and replace, or the title; `%date:…%`; what is unknown stays."""
    drawing = WorkflowBuilder()
    drawing.node(1, "Canvas", [64, 48], properties={"Node name for S&R": "Canvas"})
    drawing.node(2, "Quote", ["a/b:c"], title="My text")
    drawing.node(3, "SaveImage", ["%Canvas.width%x%Canvas.gone%_%My text.text%_%date:yyyy-MM-dd_hh%_%width%_%no.such%"])
    around = ConversionContext(Random(0), datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    prompt = convert(drawing.saved(), CATALOG, around).prompt
    assert prompt["3"]["inputs"]["filename_prefix"] == "64x%Canvas.gone%_a_b_c_2026-03-04_05_%width%_%no.such%"
