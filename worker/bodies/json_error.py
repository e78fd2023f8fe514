"""Error messages for text that is not valid JSON: the position, the text around it, and a remedy."""

from __future__ import annotations

import re

import orjson

from worker.errors import InvalidJson

AROUND = 30
"""Characters that are shown before and after the position."""
BODY = "the body"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")
REMEDIES = (
    ("escaped", r"write a backslash as \\ in JSON"),
    ("UTF-8", "send UTF-8, or name the encoding: Content-Type: application/json; charset=windows-1252"),
    ("empty", "send a JSON object"),
    ("end of data", "the text is incomplete"),
)
"""Part of the parser's message, and the remedy."""
KNOWN_MISTAKES = (
    (
        re.compile(r"-?(?:NaN|Infinity)\b"),
        "JSON has no NaN and no Infinity, which Python's json.dumps writes: send a number",
    ),
    (
        re.compile(r"'[{\[]"),
        "the shell's single quotes were sent: cmd.exe knows only double quotes; send a file, curl -d @body.json",
    ),
    (re.compile(r"'|True\b|False\b|None\b"), "this is how Python prints a dict: send json.dumps(body), not str(body)"),
    (re.compile(r"object Object"), "this is how JavaScript prints an object: send JSON.stringify(body)"),
    (re.compile(r"undefined\b"), "JSON has no undefined: leave the field out, or write null"),
    (re.compile(r"//|/\*|#"), "JSON has no comments"),
    (re.compile(r"[}\]]"), "there is a comma after the last item, or a value is missing"),
)
"""Pattern of text at the error position that comes from a known mistake, and the remedy."""


def invalid_json_error(json: bytes, error: orjson.JSONDecodeError, subject: str = BODY) -> InvalidJson:
    """Return the error for text that orjson rejects, with the position.

    orjson has no position for bytes that are not UTF-8, so it is computed here.
    """
    try:
        text = json.decode()
    except UnicodeDecodeError as undecodable:
        before = json[: undecodable.start].decode()
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        position = f"line {line} column {column} (char {len(before)})"  # in orjson's form
        message = f"byte 0x{json[undecodable.start]:02x} is not UTF-8: {position}"
        return invalid_json(subject, message, excerpt(json.decode(errors="replace"), len(before)))
    return invalid_json(subject, str(error), excerpt(text, error.pos), mistake_remedy(text, error.pos))


def mistake_remedy(text: str, position: int) -> str | None:
    """Return the remedy for the text at the error position, or None if the mistake is not a known one."""
    if text[position : position + 1] == "I" and text[position - 1 : position] == "-":
        position -= 1  # for `-Infinity`, orjson reports the position after the sign
    return next((remedy for pattern, remedy in KNOWN_MISTAKES if pattern.match(text, position)), None)


def invalid_json(subject: str, message: str, context: str, remedy: str | None = None) -> InvalidJson:
    """Return the error. `message` includes the position, and `context` is the text around it.

    A remedy for the message of the parser takes precedence over `remedy`.
    """
    remedy = next((parser_remedy for part, parser_remedy in REMEDIES if part in message), remedy)
    near = f", near: {context}" if context else ""
    advice = f" ({remedy})" if remedy else ""
    return InvalidJson(f"{subject} is not JSON: {message}{near}{advice}")


def excerpt(text: str, position: int) -> str:
    """Return the text around a position, on one line."""
    return UNPRINTABLE.sub(" ", text[max(0, position - AROUND) : position + AROUND]).strip()
