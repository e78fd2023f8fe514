"""Checks of a text as a path: whether it could lead out of its folder on any operating system."""

from __future__ import annotations

import re

from worker.workflow.catalog.path_inputs import PathUse

DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
VARIABLE = re.compile(r"\$[A-Za-z_{(]")
"""The beginning of an environment variable. Some nodes expand these."""
SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:")
"""The beginning of a URL, or a drive letter."""
WRITTEN_CURE = "write a name, or folders below ComfyUI's output folder and a name: `results/a`"
CHOICE_CURE = "write one of the names that the node offers"
PART_CURE = "write a name or a pattern inside the folder that the node reads: `*.png`"
TOKEN_CURE = "write a text with letters or digits and without folder separators"  # noqa: S105
LIKELY_CURE = "write a name without `..`, a drive or a root; send files in `inputs`"


def escapes(name: str) -> bool:
    """Return True if a name could lead out of its folder on any operating system."""
    path = name.replace("\\", "/")
    return path.startswith(("/", "~")) or ".." in path.split("/") or bool(DRIVE.match(path) or CONTROL.search(path))


def path_problem(text: str, use: PathUse) -> tuple[str, str] | None:
    """Return the reason why a text is not a valid path for this use, and a suggestion. Return None if it is valid.

    Texts that name files of the job are not checked here.
    """
    if use is PathUse.TOKEN:
        return ("could change the path that contains it", TOKEN_CURE) if _changes_paths(text) else None
    cures = {PathUse.CHOICE: CHOICE_CURE, PathUse.PART: PART_CURE, PathUse.LIKELY: LIKELY_CURE}
    cure = cures.get(use, WRITTEN_CURE)
    if escapes(text.strip()) or (use is not PathUse.LIKELY and CONTROL.search(text)):
        return "leads out of its folder", cure
    if VARIABLE.search(text):
        return "has an environment variable", cure
    # An input that is only named like a path may accept a URL or a text with a colon.
    may_have_scheme = use is PathUse.LIKELY and not text.strip().lower().startswith("file:")
    if SCHEME.match(text) and not may_have_scheme:
        return "is a URL or has a drive letter", cure
    return None


def _changes_paths(text: str) -> bool:
    """Return True if a text that a node inserts into a path could change the folder of the path.

    This includes a text without letters and digits, which can become `..` if the path has a dot next to it. The text
    may consist of lines with a name, a colon and the value for the name. Then each value is checked.
    """
    if re.search(r"[/\\~$]", text):
        return True
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    values: list[str] = []
    for line in lines:
        values += line.split(":")[1:] or [line]
    return not all(re.search(r"\w", value) for value in values)
