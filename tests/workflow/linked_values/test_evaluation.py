"""Values of links, computed before the run."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.workflow.linked_values import LinkedValues, link_of


def node(class_type: str, **inputs: Any) -> dict[str, Any]:
    return {"class_type": class_type, "inputs": inputs}


def value(prompt: dict[str, Any], node_id: str = "0", slot: int = 0) -> object:
    return LinkedValues(prompt).value((node_id, slot))  # type: ignore[arg-type]


KNOWN: list[tuple[dict[str, Any], object]] = [
    (node("PrimitiveString", value="a"), "a"),
    (node("PrimitiveStringMultiline", value=["1", 0]), "one"),
    (node("PrimitiveInt", value=3), 3),
    (node("StringConcatenate", string_a=["1", 0], string_b="b", delimiter="-"), "one-b"),
    (node("StringConcatenate", string_a="a", string_b="b"), "ab"),
    (node("StringTrim", string=" a ", mode="Left"), "a "),
    (node("StringReplace", string="a.b", find=".", replace="/"), "a/b"),
    (node("StringSubstring", string="abcdef", start=1, end=["2", 0]), "bc"),
    (node("CaseConverter", string="ab", mode="UPPERCASE"), "AB"),
    (node("ComfySwitchNode", switch=True, on_true=["1", 0], on_false=["9", 0]), "one"),
    (node("ComfySwitchNode", switch=["3", 0], on_true="a", on_false="b"), "b"),
    (node("easy ifElse", boolean=False, on_true="a", on_false="b"), "b"),
    (node("easy textSwitch", input=2, text1="a", text2="b"), "b"),
    (node("ImpactSwitch", select=1, input1=["1", 0], input2=["9", 0]), "one"),
    (node("easy anythingIndexSwitch", index=0, value0="a"), "a"),
    (node("Any Switch (rgthree)", any_02=["9", 0], any_01=["1", 0]), "one"),
    (node("StringConstantMultiline", string=" a\nb ", strip_newlines=True), "ab"),
    (node("JoinStringMulti", inputcount=3, string_1="a", string_3="c", delimiter="/", return_list=False), "a/c"),
    (node("Text Concatenate", delimiter="/", clean_whitespace="true", text_a=" a", text_c="c "), "a/c"),
    (node("Text String", text="a", text_b="b"), "a"),
    (node("TextBridge", text_input="a", passthrough_text=["1", 0]), "one"),
    (node("PrimitiveString", value={"__value__": ["1", 0]}), "one"),
]

NOT_KNOWN: list[dict[str, Any]] = [
    node("TextGenerate", prompt="a"),
    node("PrimitiveString", value=["9", 0]),
    node("PrimitiveString", value=["nowhere", 0]),
    node("PrimitiveString", value=["1", 1]),
    node("PrimitiveString", value=["1", -1]),
    node("PrimitiveString", value=["0", 0]),
    node("PrimitiveString", value=["a", "b"]),
    node("PrimitiveString"),
    node("StringConcatenate", string_a="a", string_b=["9", 0]),
    node("StringConcatenate", string_a="a", string_b=3),
    node("ComfySwitchNode", switch=["9", 0], on_true="a", on_false="a"),
    node("ComfySwitchNode", switch="maybe", on_true="a", on_false="a"),
    node("easy textSwitch", input=0, text0="a"),
    node("JoinStringMulti", inputcount=2, string_1="a", string_2="b", delimiter="", return_list=True),
    node("JoinStringMulti", inputcount=10**9, string_1="a", delimiter="", return_list=False),
    node("Text Multiline", text="# a comment\na"),
    node("Text Multiline", text="[token]"),
    node("easy forLoopStart", total=3),
]
AROUND = {
    "1": node("PrimitiveString", value="one"),
    "2": node("PrimitiveInt", value=3),
    "3": node("PrimitiveBoolean", value=False),
    "9": node("LoadImage", image="a.png"),
}


@pytest.mark.parametrize(("tested", "expected"), KNOWN, ids=lambda item: str(item)[:60])
def test_known_nodes_are_computed(tested: dict[str, Any], expected: object) -> None:
    """Texts, numbers, joined texts and switches are computed, from literal and from linked inputs."""
    assert value({"0": tested, **AROUND}) == expected


@pytest.mark.parametrize("tested", NOT_KNOWN, ids=lambda item: str(item)[:60])
def test_unknown_values_are_none(tested: dict[str, Any]) -> None:
    """Other classes, lists, loops, missing inputs and unknown choices have no value before the run."""
    assert value({"0": tested, **AROUND}) is None


def test_a_long_chain_is_computed() -> None:
    """A chain of thousands of nodes is computed without recursion."""
    prompt = {str(n): node("PrimitiveString", value=[str(n + 1), 0]) for n in range(10_000)}
    assert value({**prompt, "10000": node("PrimitiveString", value="end")}) == "end"
    assert value({**prompt, "10000": node("PrimitiveString", value=["0", 0])}) is None


def test_growing_texts_are_limited() -> None:
    """Sixty nodes that each double a text neither build a huge text nor take exponential time."""
    double = {str(n): node("StringConcatenate", string_a=[str(n + 1), 0], string_b=[str(n + 1), 0]) for n in range(60)}
    values = LinkedValues({**double, "60": node("PrimitiveString", value="ab")})  # type: ignore[arg-type]
    assert values.value(("0", 0)) is None
    assert values.value(("49", 0)) == "ab" * 2048
    assert values.value(("48", 0)) is None
    blown = {"0": node("StringReplace", string="a" * 4000, find="", replace="b" * 4000)}
    assert value(blown) is None


@pytest.mark.parametrize(
    ("written", "link"),
    [
        (["1", 0], ("1", 0)),
        (["1", 0.0], ("1", 0)),
        (["1", True], ("1", 1)),
        ({"__value__": ["1", 0]}, ("1", 0)),
        ({"__value__": {"__value__": ["1", 0]}}, ("1", 0)),
        (["1", float("inf")], ("1", -1)),
        (["1", float("nan")], ("1", -1)),
        (["1", "0"], None),
        (["1", 0, 0], None),
        ([1, 0], None),
        ("1", None),
    ],
)
def test_link_of_accepts_what_comfyui_treats_as_a_link(written: Any, link: object) -> None:
    """This includes a wrapped link, and slots that are no integers."""
    assert link_of(written) == link


texts = st.text("ab/.", max_size=4)


@st.composite
def graphs(draw: st.DrawFn) -> list[tuple[str, Any, Any]]:
    """Strategy: nodes whose inputs are texts or earlier nodes."""
    nodes: list[tuple[str, Any, Any]] = []
    for number in range(draw(st.integers(1, 8))):
        part = st.one_of(texts, st.integers(0, number - 1)) if number else texts
        kind = draw(st.sampled_from(["text", "join", "true", "false", "unknown"]))
        nodes.append((kind, draw(part), draw(part)))
    return nodes


@given(graphs())
def test_values_equal_a_simple_model(graph: list[tuple[str, Any, Any]]) -> None:
    """In a generated graph each node has the value that evaluation in order gives."""
    prompt: dict[str, Any] = {}
    expected: list[str | None] = []
    for number, (kind, a, b) in enumerate(graph):
        left, right = ([str(part), 0] if isinstance(part, int) else part for part in (a, b))
        x, y = (expected[part] if isinstance(part, int) else part for part in (a, b))
        match kind:
            case "text":
                prompt[str(number)], result = node("PrimitiveString", value=left), x
            case "join":
                prompt[str(number)] = node("StringConcatenate", string_a=left, string_b=right, delimiter="")
                result = None if x is None or y is None else x + y
            case "true" | "false":
                prompt[str(number)] = node("ComfySwitchNode", switch=kind == "true", on_true=left, on_false=right)
                result = x if kind == "true" else y
            case _:
                prompt[str(number)], result = node("Unknown", a=left), None
        expected.append(result)
    values = LinkedValues(prompt)
    assert [values.value((str(number), 0)) for number in reversed(range(len(graph)))] == expected[::-1]
