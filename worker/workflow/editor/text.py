"""What the editor does to texts when it makes a prompt: choices `{a|b}` are drawn, `%Node.field%` is filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from random import Random

from worker.errors import CannotConvert

_COMMENTS = re.compile(r"/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*")
_ESCAPED = re.compile(r"\\([{}|])")
_PATTERN = re.compile(r"%([^%]+)%")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE = re.compile(r"d{1,2}|M{1,2}|yy(?:yy)?|h{1,2}|m{1,2}|s{1,2}")
_PIECES = re.compile(r"[^\\{}|]+|[\\{}|]")
DEEPEST = 100
MOST_STEPS = 500_000

SAVERS = frozenset(
    {
        *("SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
        *("SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced", "SaveGLB", "Save3DAdvanced"),
        *("SaveGaussianSplat", "SavePointCloud", "CLIPSave", "VAESave", "ModelSave", "LoraSave", "SaveLatent"),
        "VHS_VideoCombine",
    }
)
"""Classes in whose `filename_prefix` the editor fills in patterns."""


def draw(text: str, rng: Random) -> str:
    """Comments are cut, each `{a|b}` becomes one of its choices, `\\{`, `\\|` and `\\}` lose their backslash.

    Raises CannotConvert for choices in choices that nobody means.
    """
    return _Drawing(rng).draw(text, 0)


class _Drawing:
    """One text; what is chosen is drawn again, because it may have choices of its own."""

    def __init__(self, rng: Random) -> None:
        self._rng, self._steps = rng, 0

    def draw(self, text: str, depth: int) -> str:
        if depth > DEEPEST:
            raise CannotConvert(f"a text of the workflow has choices {{…|…}} nested more than {DEEPEST} deep")
        pieces = _PIECES.findall(_COMMENTS.sub("", text))
        self._steps += len(pieces)
        if self._steps > MOST_STEPS:
            raise CannotConvert("a text of the workflow has too many choices {…|…}")
        pieces.reverse()
        parts: list[str] = []
        while pieces:
            piece = pieces.pop()
            parts.append(self._choice(pieces, depth) if piece == "{" else _escaped(piece, pieces))
        return _ESCAPED.sub(r"\1", "".join(parts))

    def _choice(self, pieces: list[str], depth: int) -> str:
        choices, parts, inside = list[str](), list[str](), 0
        while pieces:
            piece = pieces.pop()
            if piece == "}" and not inside:
                break
            if piece == "|" and not inside:
                choices.append("".join(parts))
                parts = []
                continue
            inside += {"{": 1, "}": -1}.get(piece, 0)
            parts.append(_escaped(piece, pieces))
        return self.draw(self._rng.choice([*choices, "".join(parts)]), depth + 1)


def _escaped(piece: str, pieces: list[str]) -> str:
    """A backslash keeps the character behind it from meaning anything; at the end it is what JavaScript makes of it."""
    if piece != "\\":
        return piece
    following = pieces.pop() if pieces else "undefined"
    if following != "undefined" and len(following) > 1:
        pieces.append(following[1:])
        following = following[0]
    return "\\" + following


def fill_in(text: str, field_of: Callable[[str, str], str | None], now: datetime) -> str:
    """`%Node.field%` becomes that field's value, fit for a file's name; `%date:yyyy-MM-dd%` the time."""

    def filled(match: re.Match[str]) -> str:
        parts = match[1].split(".")
        if len(parts) != 2:
            return date(match[1][5:], now) if parts[0].startswith("date:") else match[0]
        value = field_of(parts[0], parts[1])
        return match[0] if value is None else _NOT_IN_NAMES.sub("_", value)

    return _PATTERN.sub(filled, text)


def date(pattern: str, now: datetime) -> str:
    """`d`, `M`, `h`, `m` and `s` as numbers, doubled with a zero before; `yy` and `yyyy`."""
    numbers = {"d": now.day, "M": now.month, "h": now.hour, "m": now.minute, "s": now.second}

    def written(match: re.Match[str]) -> str:
        name = match[0]
        if name[0] == "y":
            return f"{now.year:04}"[-len(name) :]
        return f"{numbers[name[0]]:0{len(name)}}"

    return _DATE.sub(written, pattern)
