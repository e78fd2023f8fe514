"""What nodes of known classes put out, where that follows from their inputs alone.

A rule gets the inputs of a node and returns its outputs. It raises `NotKnownError` where an input that decides is not
known. It need not repeat every step of a class: what it computes takes the place of the link, so that the value that
was checked is the one that the node gets.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

Value: TypeAlias = "str | int | float | bool"


class NotKnownError(Exception):
    """The value is known only when the node runs."""


@dataclass(frozen=True, slots=True)
class NodeInputs:
    """The inputs of a node. `values` has None for one whose value is not known."""

    values: Mapping[str, Value | None]

    def value(self, name: str) -> Value:
        found = self.values.get(name)
        if found is None:
            raise NotKnownError
        return found

    def text(self, name: str, default: str | None = None) -> str:
        """Return a text; `default` where the input is not given at all."""
        if default is not None and name not in self.values:
            return default
        found = self.value(name)
        if not isinstance(found, str):
            raise NotKnownError
        return found

    def integer(self, name: str) -> int:
        found = self.value(name)
        if not isinstance(found, int):
            raise NotKnownError
        return found

    def boolean(self, name: str) -> bool:
        """Return a choice between two; packs write some of them as text."""
        found = self.value(name)
        if isinstance(found, str):
            if found.lower() not in {"true", "false"}:
                raise NotKnownError
            return found.lower() == "true"
        return bool(found)

    def first_present(self, *names: str) -> Value:
        """Return the first of these inputs that is given."""
        for name in names:
            if name in self.values:
                return self.value(name)
        raise NotKnownError


Rule: TypeAlias = "Callable[[NodeInputs], tuple[Value | None, ...]]"


def _constant(name: str) -> Rule:
    return lambda inputs: (inputs.value(name),)


def _joined(delimiter: str, *names: str) -> Rule:
    return lambda inputs: (inputs.text(delimiter, "").join(inputs.text(name, "") for name in names),)


def _either(choice: str, if_true: str, if_false: str) -> Rule:
    return lambda inputs: (inputs.value(if_true if inputs.boolean(choice) else if_false),)


def _numbered(choice: str, pattern: str, first: int = 1) -> Rule:
    """Return the rule of a switch by number: its inputs are `pattern` with the number from `first` on."""

    def decide(inputs: NodeInputs) -> tuple[Value | None, ...]:
        number = inputs.integer(choice)
        if number < first:
            raise NotKnownError
        return (inputs.value(pattern.format(number)),)

    return decide


def _plain_text(text: str) -> str:
    """Return a text of WAS Node Suite: its lines that are comments and its tokens are left to the node."""
    if "#" in text or "[" in text:
        raise NotKnownError
    return text


def _was_texts(*names: str) -> Rule:
    return lambda inputs: tuple(_plain_text(inputs.text(name, "")) for name in names)


def _was_joined(inputs: NodeInputs) -> tuple[Value | None, ...]:
    texts = [inputs.text(name) for name in ("text_a", "text_b", "text_c", "text_d") if name in inputs.values]
    if inputs.boolean("clean_whitespace"):
        texts = [text.strip() for text in texts]
    delimiter = inputs.text("delimiter")
    return (("\n" if delimiter == "\\n" else delimiter).join(text for text in texts if text),)


def _trimmed(inputs: NodeInputs) -> tuple[Value | None, ...]:
    text, mode = inputs.text("string"), inputs.text("mode")
    changes = {"Both": text.strip, "Left": text.lstrip, "Right": text.rstrip}
    return (changes[mode]() if mode in changes else text,)


def _in_case(inputs: NodeInputs) -> tuple[Value | None, ...]:
    text, mode = inputs.text("string"), inputs.text("mode")
    changes = {"UPPERCASE": text.upper, "lowercase": text.lower, "Capitalize": text.capitalize}
    changes["Title Case"] = text.title
    return (changes[mode]() if mode in changes else text,)


def _replaced(inputs: NodeInputs) -> tuple[Value | None, ...]:
    text, find, instead = inputs.text("string"), inputs.text("find"), inputs.text("replace")
    # Counted before it is made: an empty text is found between any two characters.
    if len(text) + (text.count(find) + 1) * len(instead) > LONGEST:
        raise NotKnownError
    return (text.replace(find, instead),)


def _part(inputs: NodeInputs) -> tuple[Value | None, ...]:
    return (inputs.text("string")[inputs.integer("start") : inputs.integer("end")],)


def _one_line(inputs: NodeInputs) -> tuple[Value | None, ...]:
    text = inputs.text("string")
    return (text.replace("\n", "").strip() if inputs.boolean("strip_newlines") else text,)


def _many_joined(inputs: NodeInputs) -> tuple[Value | None, ...]:
    count = inputs.integer("inputcount")
    if inputs.boolean("return_list") or count > MOST_JOINED:
        raise NotKnownError
    texts = [inputs.text(f"string_{number}", "") for number in range(1, count + 1)]
    return (inputs.text("delimiter").join([texts[0], *filter(None, texts[1:])]) if texts else None,)


def _bridged(inputs: NodeInputs) -> tuple[Value | None, ...]:
    return (inputs.first_present("passthrough_text", "text_input"),)


def _first_of_many(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """rgthree: the first input that is given, by the number in its name."""
    return (inputs.first_present(*sorted(name for name in inputs.values if re.fullmatch(r"any_\d+", name))),)


LONGEST = 4096
"""Characters of a text that is computed; a longer one is no path."""
MOST_JOINED = 100
RULES: dict[str, Rule] = {
    **dict.fromkeys(
        ("PrimitiveString", "PrimitiveStringMultiline", "PrimitiveInt", "PrimitiveFloat", "PrimitiveBoolean"),
        _constant("value"),
    ),
    **dict.fromkeys(("easy string", "easy int", "easy float", "easy boolean"), _constant("value")),
    **dict.fromkeys(("ImpactInt", "ImpactFloat", "ImpactBoolean"), _constant("value")),
    **dict.fromkeys(("INTConstant", "FloatConstant", "BOOLConstant"), _constant("value")),
    "CR Text": _constant("text"),
    "CR Prompt Text": _constant("prompt"),
    "easy positive": _constant("positive"),
    "easy negative": _constant("negative"),
    "Simple String": _constant("string"),
    "StringConstant": _constant("string"),
    "String to Text": _constant("string"),
    "Text to String": _constant("text"),
    "TextBox1": _constant("text1"),
    "TextBox2": lambda inputs: (inputs.text("text1"), inputs.text("text2")),
    "TextBox3": lambda inputs: (inputs.text("text1"), inputs.text("text2"), inputs.text("text3")),
    "StringConstantMultiline": _one_line,
    "Text Multiline": _was_texts("text"),
    "Text String": _was_texts("text", "text_b", "text_c", "text_d"),
    "TextBridge": _bridged,
    "StringTrim": _trimmed,
    "StringReplace": _replaced,
    "StringSubstring": _part,
    "CaseConverter": _in_case,
    "StringConcatenate": _joined("delimiter", "string_a", "string_b"),
    "JoinStrings": _joined("delimiter", "string1", "string2"),
    "JoinStringMulti": _many_joined,
    "CR Text Concatenate": _joined("separator", "text1", "text2"),
    "easy promptConcat": _joined("separator", "prompt1", "prompt2"),
    "Text Concatenate": _was_joined,
    "ComfySwitchNode": _either("switch", "on_true", "on_false"),
    "easy ifElse": _either("boolean", "on_true", "on_false"),
    "ImpactConditionalBranch": _either("cond", "tt_value", "ff_value"),
    "Text Input Switch": _either("boolean", "text_a", "text_b"),
    "easy textSwitch": _numbered("input", "text{}"),
    "CR Text Input Switch": _numbered("Input", "text{}"),
    "CR Text Input Switch (4 way)": _numbered("Input", "text{}"),
    "ImpactSwitch": _numbered("select", "input{}"),
    "easy textIndexSwitch": _numbered("index", "text{}", first=0),
    "easy anythingIndexSwitch": _numbered("index", "value{}", first=0),
    "Any Switch (rgthree)": _first_of_many,
}
"""By class. A class that makes its text of a list, a file, a wildcard or a number of a loop has none."""
