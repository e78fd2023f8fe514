"""The id of a fleet: made at random, written into the fleet file once, and the same on every machine from then on."""

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
    """Return 16 hexadecimal digits."""
    return secrets.token_hex(8)


def id_line(fleet_id: str) -> str:
    return f'id = "{fleet_id}"'


def missing_id() -> str:
    """Return the message for a file without an id, with a line that can be copied into it."""
    return f"the fleet has no id; `comfy-worker deploy init` writes one into the file, such as {id_line(new_id())}"


def id_of(text: str) -> str:
    """Return the id in a file, empty where there is none. Raises DeployError for a file that is not TOML."""
    return str(_parsed(text).get("id") or "")


def with_id(text: str, fleet_id: str) -> str:
    """Return the file with this id and no other change. Raises DeployError where no place for it is found."""
    before = _parsed(text)
    line = id_line(fleet_id)
    if "id" in before:
        # Of several lines that look like it, all but one stand in a table or in a long text.
        candidates = [text[: found.start()] + line + text[found.end() :] for found in LINE.finditer(text)]
    else:
        head = COMMENTS.match(text)
        place = head.end() if head else 0
        end = "\r\n" if "\r\n" in text else "\n"
        candidates = [f"{text[:place]}{line}{end}{text[place:]}", f"{line}{end}{text}"]
    for changed in candidates:
        if _parses_to(changed, {**before, "id": fleet_id}):
            return changed
    raise DeployError(f"no place for the id is found: write the line {line} at the top of the file")


def _parsed(text: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise DeployError(f"the file is not TOML: {error}") from error


def _parses_to(text: str, wanted: dict[str, Any]) -> bool:
    try:
        return tomllib.loads(text) == wanted
    except tomllib.TOMLDecodeError:
        return False
