"""Texts that the editor changes for a prompt: it draws choices `{a|b}` and fills in placeholders `%Node.field%`."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from random import Random

from worker.errors import CannotConvert

_COMMENTS = re.compile(r"/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*")
_ESCAPED = re.compile(r"\\([{}|])")
_PLACEHOLDER = re.compile(r"%([^%]+)%")
_NOT_IN_FILENAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE_PARTS = re.compile(r"d{1,2}|M{1,2}|yy(?:yy)?|h{1,2}|m{1,2}|s{1,2}")
_PIECES = re.compile(r"[^\\{}|]+|[\\{}|]")
MAX_DEPTH = 100
MAX_STEPS = 500_000

SAVERS = frozenset(
    {
        *("SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
        *("SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced", "SaveGLB", "Save3DAdvanced"),
        *("SaveGaussianSplat", "SavePointCloud", "CLIPSave", "VAESave", "ModelSave", "LoraSave", "SaveLatent"),
        "VHS_VideoCombine",
    }
)
"""Classes whose `filename_prefix` may contain placeholders."""


def expand_choices(text: str, rng: Random) -> str:
    """Return the text without comments and with one random choice in place of each `{a|b}`.

    `\\{`, `\\|` and `\\}` lose the backslash. Raises CannotConvert when choices are nested too deep or are too many.
    """
    return _ChoiceExpander(rng).expand(text, 0)


class _ChoiceExpander:
    """Expands one text. A chosen text is expanded again, because it may contain choices."""

    def __init__(self, rng: Random) -> None:
        self._rng, self._steps = rng, 0

    def expand(self, text: str, depth: int) -> str:
        """Return the text with its choices drawn. `depth` is the number of choices that contain it.

        Raises CannotConvert when the depth or the number of all steps exceeds its limit.
        """
        if depth > MAX_DEPTH:
            raise CannotConvert(f"a text of the workflow has choices {{…|…}} nested more than {MAX_DEPTH} deep")
        pieces = _PIECES.findall(_COMMENTS.sub("", text))
        self._steps += len(pieces)
        if self._steps > MAX_STEPS:
            raise CannotConvert("a text of the workflow has too many choices {…|…}")
        pieces.reverse()  # so that the next piece is the last item, which is cheap to remove
        parts: list[str] = []
        while pieces:
            piece = pieces.pop()
            parts.append(self._choice(pieces, depth) if piece == "{" else _with_escaped(piece, pieces))
        return _ESCAPED.sub(r"\1", "".join(parts))

    def _choice(self, pieces: list[str], depth: int) -> str:
        """Remove the pieces of one choice up to its `}`, and return the alternative that was drawn, itself expanded.

        `pieces` are the pieces after the `{` of the choice, in reverse order.
        """
        choices, parts, open_braces = list[str](), list[str](), 0
        while pieces:
            piece = pieces.pop()
            if piece == "}" and not open_braces:
                break
            if piece == "|" and not open_braces:
                choices.append("".join(parts))
                parts = []
                continue
            open_braces += {"{": 1, "}": -1}.get(piece, 0)
            parts.append(_with_escaped(piece, pieces))
        return self.expand(self._rng.choice([*choices, "".join(parts)]), depth + 1)


def _with_escaped(piece: str, pieces: list[str]) -> str:
    """Return a piece. After a backslash also remove the next character from `pieces`, and return both.

    The character then has no special meaning. `pieces` are the pieces that follow, in reverse order. At the end of the
    text JavaScript appends "undefined" to the backslash, and so does this function.
    """
    if piece != "\\":
        return piece
    if not pieces:
        return "\\undefined"
    following = pieces.pop()
    if len(following) > 1:
        pieces.append(following[1:])
    return "\\" + following[0]


def fill_placeholders(text: str, field_text: Callable[[str, str], str | None], now: datetime) -> str:
    """Return the text with each `%Node.field%` replaced by that field's text, and `%date:yyyy-MM-dd%` by the time.

    `field_text` gets the names of a node and a field, and returns the field's text or None if there is no such field.
    Other placeholders stay. Characters that are not allowed in filenames become `_`.
    """

    def replacement(match: re.Match[str]) -> str:
        """Return the text for one placeholder, or the placeholder itself if it has no value."""
        placeholder = match[1]
        node_name, dot, field_name = placeholder.partition(".")
        if not dot or "." in field_name:
            is_date = node_name.startswith("date:")
            return format_date(placeholder.removeprefix("date:"), now) if is_date else match[0]
        value = field_text(node_name, field_name)
        return match[0] if value is None else _NOT_IN_FILENAMES.sub("_", value)

    return _PLACEHOLDER.sub(replacement, text)


def format_date(pattern: str, now: datetime) -> str:
    """Return the time in the form of a pattern, such as `yyyy-MM-dd hh:mm:ss`.

    A single letter omits the leading zero. `yy` has the last two digits of the year. Other characters stay.
    """
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def replacement(match: re.Match[str]) -> str:
        """Return the part of the time that a group of equal letters stands for."""
        letters = match[0]
        if letters[0] == "y":
            return f"{now.year:04}"[-len(letters) :]
        return f"{numbers[letters[0]]:0{len(letters)}}"

    return _DATE_PARTS.sub(replacement, pattern)
