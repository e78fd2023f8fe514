"""Tests of the texts that the editor changes: choices, comments and placeholders."""

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
def test_texts_with_one_result(text: str, drawn: str) -> None:
    """expand_choices removes comments, expands braces with one choice, and keeps escaped characters."""
    assert expand_choices(text, Random(0)) == drawn


def test_all_choices_are_drawn() -> None:
    """expand_choices draws every choice, including nested ones, and nothing else."""
    rng = Random(0)
    assert {expand_choices("{a|b{c|d}|}", rng) for _ in range(100)} == {"a", "bc", "bd", ""}


def test_only_dynamic_prompts_are_expanded() -> None:
    """convert expands choices only in fields with dynamic prompts."""
    builder = WorkflowBuilder()
    builder.node(1, "Say", ["{a}"])
    builder.node(2, "Quote", ["{a}"])
    assert [builder.inputs_of(number)["text"] for number in (1, 2)] == ["a", "{a}"]


@pytest.mark.parametrize("text", ["{" * 5000, "{a|" * 3000 + "}" * 3000, "|" * 10, "\\" * 4001, "{|}" * 200_000])
def test_extreme_choices_end_quickly(text: str) -> None:
    """convert expands or rejects texts with thousands of nested choices."""
    builder = WorkflowBuilder()
    builder.node(1, "Say", [text])
    prompt, refusal = convert_or_error(builder.saved())
    assert prompt or "{…|…}" in refusal


def test_placeholders_in_filename_prefixes() -> None:
    """convert replaces `%Node.field%` and `%date:…%` in a filename prefix and keeps unknown placeholders."""
    builder = WorkflowBuilder()
    builder.node(1, "Canvas", [64, 48], properties={"Node name for S&R": "Canvas"})
    builder.node(2, "Quote", ["a/b:c"], title="My text")
    builder.node(3, "SaveImage", ["%Canvas.width%x%Canvas.gone%_%My text.text%_%date:yyyy-MM-dd_hh%_%width%_%no.such%"])
    around = ConversionContext(Random(0), datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC))
    prompt = convert(builder.saved(), CATALOG, around).prompt
    assert prompt["3"]["inputs"]["filename_prefix"] == "64x%Canvas.gone%_a_b_c_2026-03-04_05_%width%_%no.such%"
