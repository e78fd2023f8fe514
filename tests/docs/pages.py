"""The Markdown pages of the repository and the code blocks in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")])

SHELL = "console"
NEEDS = frozenset({"vast-account", "gpu", "comfyui", "docker", "make", "network", "minutes", "port-8000"})
"""What a block of commands may need that tests do not have. A block names it as ```` ```console needs=gpu ````."""

_FENCE = re.compile(r"^(?P<indent> *)```(?P<info>[^\n`]*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Step:
    """One command of a `console` block and the lines that the page shows below it."""

    command: str
    output: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """One fenced code block: its language, what it needs (empty: nothing) and its text without indentation."""

    page: Path
    line: int
    language: str
    needs: str
    text: str

    @property
    def label(self) -> str:
        return f"{self.page.name}:{self.line}"

    def steps(self) -> list[Step]:
        """Return the commands of a `console` block: lines that start with `$ `, continued by a backslash or `> `."""
        steps: list[tuple[list[str], list[str]]] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                steps.append(([line[2:]], []))
            elif not steps:
                raise ValueError(f"{self.label}: {line!r} stands before the first command")
            elif line.startswith("> ") or (steps[-1][0][-1].endswith("\\") and not steps[-1][1]):
                steps[-1][0].append(line.removeprefix("> "))
            else:
                steps[-1][1].append(line)
        return [Step("\n".join(command), tuple(output)) for command, output in steps]


def blocks_of(page: Path) -> list[Block]:
    """Return the code blocks of one page, in order."""
    text = page.read_text("utf-8")
    blocks = []
    for match in _FENCE.finditer(text):
        language, _, rest = match["info"].strip().partition(" ")
        lines = [line.removeprefix(match["indent"]) for line in match["text"].splitlines()]
        line = text.count("\n", 0, match.start()) + 1
        blocks.append(Block(page, line, language, rest.removeprefix("needs=").strip(), "\n".join(lines)))
    return blocks


def headings_of(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    text = _FENCE.sub("", page.read_text("utf-8"))
    anchors: set[str] = set()
    for heading in re.findall(r"^#+ +(.+?) *$", text, re.MULTILINE):
        plain = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", plain.lower()).replace(" ", "-")
        number = next(n for n in range(100) if (f"{anchor}-{n}" if n else anchor) not in anchors)
        anchors.add(f"{anchor}-{number}" if number else anchor)
    return anchors
