"""Rules that compute the outputs of nodes of known classes from their inputs.

A rule gets the inputs of a node and returns its outputs. It raises `NotKnownError` if it needs an input whose value is
not known. A rule may simplify what the class does: the computed value replaces the link in the prompt, so that the node
receives exactly the value that was checked.
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
    """The inputs of a node. In `values`, None means that the value is not known. All methods raise NotKnownError."""

    values: Mapping[str, Value | None]

    def value(self, name: str) -> Value:
        """Return the value of an input. Raises NotKnownError if it is absent or not known."""
        value = self.values.get(name)
        if value is None:
            raise NotKnownError
        return value

    def text(self, name: str, default: str | None = None) -> str:
        """Return an input that is a text, or `default` if the node does not have this input.

        Raises NotKnownError if it is of another type, absent without a default, or not known.
        """
        if default is not None and name not in self.values:
            return default
        value = self.value(name)
        if not isinstance(value, str):
            raise NotKnownError
        return value

    def integer(self, name: str) -> int:
        """Return an input that is an integer. Raises NotKnownError if it is of another type, absent or not known."""
        value = self.value(name)
        if not isinstance(value, int):
            raise NotKnownError
        return value

    def boolean(self, name: str) -> bool:
        """Return an input as a boolean. Some packs write it as the text "true" or "false".

        Raises NotKnownError for other texts.
        """
        value = self.value(name)
        if isinstance(value, str):
            if value.lower() not in {"true", "false"}:
                raise NotKnownError
            return value.lower() == "true"
        return bool(value)

    def first_present(self, *names: str) -> Value:
        """Return the value of the first of these inputs that the node has.

        Raises NotKnownError if it has none of them, or if that value is not known.
        """
        for name in names:
            if name in self.values:
                return self.value(name)
        raise NotKnownError


Rule: TypeAlias = "Callable[[NodeInputs], tuple[Value | None, ...]]"


def _constant(input_name: str) -> Rule:
    """Return the rule of a node whose only output is the value of this input."""
    return lambda inputs: (inputs.value(input_name),)


def _joined(delimiter_input: str, *text_inputs: str) -> Rule:
    """Return the rule of a node that joins the texts of some inputs with the delimiter that another input has."""
    return lambda inputs: (inputs.text(delimiter_input, "").join(inputs.text(name, "") for name in text_inputs),)


def _either(choice: str, if_true: str, if_false: str) -> Rule:
    """Return the rule of a node that outputs one of two inputs, depending on the boolean input `choice`."""
    return lambda inputs: (inputs.value(if_true if inputs.boolean(choice) else if_false),)


def _numbered(choice: str, pattern: str, first: int = 1) -> Rule:
    """Return the rule of a node that outputs one of several inputs, selected by the number in the input `choice`.

    The names of the inputs are `pattern` with the number in place of `{}`. The lowest number is `first`.
    """

    def select(inputs: NodeInputs) -> tuple[Value | None, ...]:
        """Return the value of the selected input. Raises NotKnownError for an invalid number."""
        number = inputs.integer(choice)
        if number < first:
            raise NotKnownError
        return (inputs.value(pattern.format(number)),)

    return select


def _plain_text(text: str) -> str:
    """Return a text of WAS Node Suite as the pack outputs it.

    Raises NotKnownError if the text may contain comments or tokens, which the pack replaces.
    """
    if "#" in text or "[" in text:
        raise NotKnownError
    return text


def _was_texts(*names: str) -> Rule:
    """Return the rule of a node of WAS Node Suite that outputs the texts of these inputs."""
    return lambda inputs: tuple(_plain_text(inputs.text(name, "")) for name in names)


def _was_joined(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `Text Concatenate` (WAS Node Suite): the texts that are not empty, joined by a delimiter."""
    texts = [inputs.text(name) for name in ("text_a", "text_b", "text_c", "text_d") if name in inputs.values]
    if inputs.boolean("clean_whitespace"):
        texts = [text.strip() for text in texts]
    delimiter = inputs.text("delimiter")
    if delimiter == "\\n":  # a backslash and the letter n
        delimiter = "\n"
    return (delimiter.join(text for text in texts if text),)


def _trimmed(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `StringTrim`: the text without the spaces at one end or both."""
    text, mode = inputs.text("string"), inputs.text("mode")
    results = {"Both": text.strip(), "Left": text.lstrip(), "Right": text.rstrip()}
    return (results.get(mode, text),)


def _in_case(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `CaseConverter`: the text in upper, lower, sentence or title case."""
    text, mode = inputs.text("string"), inputs.text("mode")
    results = {
        "UPPERCASE": text.upper(),
        "lowercase": text.lower(),
        "Capitalize": text.capitalize(),
        "Title Case": text.title(),
    }
    return (results.get(mode, text),)


def _replaced(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `StringReplace`: the text with every occurrence of `find` replaced."""
    text, find, replacement = inputs.text("string"), inputs.text("find"), inputs.text("replace")
    # Checked before the text is built: an empty `find` matches between any two characters.
    if len(text) + (text.count(find) + 1) * len(replacement) > LONGEST:
        raise NotKnownError
    return (text.replace(find, replacement),)


def _substring(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `StringSubstring`: the characters from `start` up to `end`, as Python slices them."""
    return (inputs.text("string")[inputs.integer("start") : inputs.integer("end")],)


def _one_line(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `StringConstantMultiline` (KJNodes).

    It is the text, without line breaks if `strip_newlines` is set.
    """
    text = inputs.text("string")
    return (text.replace("\n", "").strip() if inputs.boolean("strip_newlines") else text,)


def _many_joined(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `JoinStringMulti` (KJNodes): the texts `string_1`, `string_2`, ... joined by a delimiter.

    Empty texts after the first are skipped. The output is not known (None) without texts.
    """
    count = inputs.integer("inputcount")
    if inputs.boolean("return_list") or count > MOST_JOINED:
        raise NotKnownError
    texts = [inputs.text(f"string_{number}", "") for number in range(1, count + 1)]
    if not texts:
        return (None,)
    later_texts = [text for text in texts[1:] if text]
    return (inputs.text("delimiter").join([texts[0], *later_texts]),)


def _bridged(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of `TextBridge`: `passthrough_text` if the node has it, else `text_input`."""
    return (inputs.first_present("passthrough_text", "text_input"),)


def _first_of_many(inputs: NodeInputs) -> tuple[Value | None, ...]:
    """Return the output of rgthree's Any Switch: the first of its inputs `any_1`, `any_2`, ... that is present."""
    names = sorted(name for name in inputs.values if re.fullmatch(r"any_\d+", name))
    return (inputs.first_present(*names),)


LONGEST = 4096
"""Maximum length of a computed text. A longer text cannot be a path."""
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
    "StringSubstring": _substring,
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
"""Rules by class. Classes whose output depends on a list, a file, a wildcard or a loop counter have no rule."""
