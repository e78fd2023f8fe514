"""What a text means as a path, whatever the system: a place below a folder, or one outside of it."""

from __future__ import annotations

import re

from worker.workflow.catalog.path_inputs import PathUse

DRIVE = re.compile(r"[A-Za-z]:")
CONTROL = re.compile(r"[\x00-\x1f\x7f]")
VARIABLE = re.compile(r"\$[A-Za-z_{(]")
"""The beginning of a variable of the environment, which some nodes put in."""
SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*:")
"""The beginning of a URL, or a drive."""
WRITTEN_CURE = "write a name, or folders below ComfyUI's output folder and a name: `results/a`"
CHOICE_CURE = "write one of the names that the node offers"
PART_CURE = "write a name or a pattern inside of the folder that the node reads: `*.png`"
TOKEN_CURE = "write a text that has letters or digits, and no separator of folders"  # noqa: S105
LIKELY_CURE = "write a name without `..`, a drive or a root; send files in `inputs`"


def escapes(name: str) -> bool:
    """True for what could mean a place outside of the folder that it is a name in, on any system."""
    path = name.replace("\\", "/")
    return path.startswith(("/", "~")) or ".." in path.split("/") or bool(DRIVE.match(path) or CONTROL.search(path))


def path_problem(text: str, use: PathUse) -> tuple[str, str] | None:
    """Return why a node may not get this text as a path that is no file of its job, and what to do about it."""
    if use is PathUse.TOKEN:
        return ("could change a path that it is put into", TOKEN_CURE) if _changes_paths(text) else None
    cures = {PathUse.CHOICE: CHOICE_CURE, PathUse.PART: PART_CURE, PathUse.LIKELY: LIKELY_CURE}
    cure = cures.get(use, WRITTEN_CURE)
    if escapes(text.strip()) or (use is not PathUse.LIKELY and CONTROL.search(text)):
        return "leads out of its folder", cure
    if VARIABLE.search(text):
        return "has a variable of the environment", cure
    if SCHEME.match(text) and not (use is PathUse.LIKELY and not text.strip().lower().startswith("file:")):
        return "is a URL or has a drive", cure
    return None


def _changes_paths(text: str) -> bool:
    """Tell whether a text, put into a path anywhere, could lead out of its folder: alone or with dots beside it.

    A text may be lines of a name, a colon and what stands for the name.
    """
    if re.search(r"[/\\~$]", text):
        return True
    lines = [line for line in text.splitlines() if line.strip()] or [""]
    values = [piece for line in lines for piece in (line.split(":")[1:] or [line])]
    return not all(re.search(r"\w", value) for value in values)
