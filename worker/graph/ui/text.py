"""What the editor does to texts when it makes a prompt: choices `{a|b}` are drawn, `%Node.field%` is filled in."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from random import Random

_COMMENTS = re.compile(r"/\*[\s\S]*?\*/|//[^\n\r\u2028\u2029]*")
_ESCAPED = re.compile(r"\\([{}|])")
_PATTERN = re.compile(r"%([^%]+)%")
_NOT_IN_NAMES = re.compile(r'[/?<>\\:*|"\x00-\x1f\x7f]')
_DATE = re.compile(r"d{1,2}|M{1,2}|yy(?:yy)?|h{1,2}|m{1,2}|s{1,2}")
DEEPEST = 100

SAVERS = frozenset(
    {
        *("SaveImage", "SaveImageAdvanced", "SaveSVGNode", "SaveVideo", "SaveAnimatedWEBP", "SaveAnimatedPNG"),
        *("SaveWEBM", "SaveAudio", "SaveAudioMP3", "SaveAudioOpus", "SaveAudioAdvanced", "SaveGLB", "Save3DAdvanced"),
        *("SaveGaussianSplat", "SavePointCloud", "CLIPSave", "VAESave", "ModelSave", "LoraSave", "SaveLatent"),
    }
)
"""Classes in whose `filename_prefix` the editor fills in patterns."""


def draw(text: str, rng: Random, depth: int = 0) -> str:
    """Comments are cut, each `{a|b}` becomes one of its choices, `\\{`, `\\|` and `\\}` lose their backslash."""
    reader = _Reader(_COMMENTS.sub("", text), rng, depth)
    return _ESCAPED.sub(r"\1", reader.read())


class _Reader:
    def __init__(self, text: str, rng: Random, depth: int) -> None:
        self._text, self._rng, self._depth = text, rng, depth
        self._place = 0

    def read(self) -> str:
        parts: list[str] = []
        while (char := self._next()) is not None:
            if char == "\\":
                parts.append(self._escape())
            elif char == "{":
                parts.append(self._choice())
            else:
                parts.append(char)
        return "".join(parts)

    def _next(self) -> str | None:
        if self._place >= len(self._text):
            return None
        self._place += 1
        return self._text[self._place - 1]

    def _escape(self) -> str:
        return "\\" + (self._next() or "undefined")

    def _choice(self) -> str:
        choices, parts, inside = list[str](), list[str](), 0
        while (char := self._next()) is not None:
            if char == "\\":
                parts.append(self._escape())
                continue
            if char == "}" and not inside:
                break
            if char == "|" and not inside:
                choices.append("".join(parts))
                parts = []
                continue
            inside += {"{": 1, "}": -1}.get(char, 0)
            parts.append(char)
        chosen = self._rng.choice([*choices, "".join(parts)])
        return draw(chosen, self._rng, self._depth + 1) if self._depth < DEEPEST else chosen


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
