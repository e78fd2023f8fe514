"""The id of a fleet: random text that is written into the fleet file once and never changes."""

from __future__ import annotations

import re
import secrets
import tomllib
from typing import Any

from worker.errors import DeployError

LINE = re.compile(r"^id[ \t]*=.*?(?=\r?$)", re.MULTILINE)
COMMENTS = re.compile(r"\A(?:#[^\n]*\n)*")
"""The comments at the top of the file, up to its first other line."""


def new_id() -> str:
    """Return a new fleet id: 16 random hexadecimal digits."""
    return secrets.token_hex(8)


def id_line(fleet_id: str) -> str:
    """Return the line of the file that sets the id."""
    return f'id = "{fleet_id}"'


def missing_id() -> str:
    """Return the message for a file without an id, with a line that can be copied into it."""
    return f"the fleet has no id; `comfy-worker deploy init` writes one into the file, such as {id_line(new_id())}"


def id_of(text: str) -> str:
    """Return the id in the text of a fleet file, or an empty text when it has none.

    Raises DeployError when the file is not TOML.
    """
    return str(_parsed(text).get("id") or "")


def with_id(text: str, fleet_id: str) -> str:
    """Return the text of the file with this id and no other change.

    Each possible text is parsed again, and the first one that differs only in the id is returned. Raises DeployError
    when there is none.
    """
    before = _parsed(text)
    line = id_line(fleet_id)
    if "id" in before:
        # A line that looks like the id may also be inside a table or a multi-line string.
        candidates = [text[: match.start()] + line + text[match.end() :] for match in LINE.finditer(text)]
    else:
        top_comments = COMMENTS.match(text)
        position = top_comments.end() if top_comments else 0
        line_end = "\r\n" if "\r\n" in text else "\n"
        candidates = [f"{text[:position]}{line}{line_end}{text[position:]}", f"{line}{line_end}{text}"]
    for changed in candidates:
        if _parses_to(changed, {**before, "id": fleet_id}):
            return changed
    raise DeployError(f"the id cannot be written into the file: add the line {line} at its top")


def _parsed(text: str) -> dict[str, Any]:
    """Return the values in a TOML text. Raises DeployError when it is not TOML."""
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeployError(f"the file is not TOML: {error}") from error


def _parses_to(text: str, expected: dict[str, Any]) -> bool:
    """Return whether the text is TOML with exactly the `expected` values."""
    try:
        return tomllib.loads(text) == expected
    except tomllib.TOMLDecodeError:
        return False
