"""What is wrong with a text that is no JSON: the place, a piece of the text around it, and the cure."""

from __future__ import annotations

import re

import orjson

from worker.errors import InvalidJson

AROUND = 30
"""Characters of the text that are shown before and after the place."""
BODY = "the body"
UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f]+")
CURES = (
    ("escaped", r"in JSON a backslash is written \\"),
    ("UTF-8", "send UTF-8, or name the encoding: Content-Type: application/json; charset=windows-1252"),
    ("empty", "send a JSON object"),
    ("end of data", "the text breaks off"),
)
"""Part of a parser's message, and what to do."""
FOREIGN = (
    (
        re.compile(r"-?(?:NaN|Infinity)\b"),
        "JSON has no NaN and no Infinity, as Python's json.dumps writes: send a number",
    ),
    (
        re.compile(r"'[{\[]"),
        "the shell's quotes came along: cmd.exe has only double ones; send a file, curl -d @body.json",
    ),
    (re.compile(r"'|True\b|False\b|None\b"), "Python prints a dict in this form: send json.dumps(body), not str(body)"),
    (re.compile(r"object Object"), "JavaScript prints an object in this form: send JSON.stringify(body)"),
    (re.compile(r"undefined\b"), "JSON has no undefined: leave the field out, or write null"),
    (re.compile(r"//|/\*|#"), "JSON has no comments"),
    (re.compile(r"[}\]]"), "there is a comma after the last item, or a value is missing"),
)
"""How a text goes on where JSON can't, and what to do."""


def invalid_json_error(json: bytes, error: orjson.JSONDecodeError, what: str = BODY) -> InvalidJson:
    """Return the error for a text that orjson refuses; it gives no place for bytes that are not UTF-8."""
    try:
        text = json.decode()
    except UnicodeDecodeError as undecodable:
        before = json[: undecodable.start].decode()
        place = f"line {before.count(chr(10)) + 1} column {len(before) - before.rfind(chr(10))} (char {len(before)})"
        message = f"byte 0x{json[undecodable.start]:02x} is not UTF-8: {place}"
        return invalid(what, message, piece(json.decode(errors="replace"), len(before)))
    return invalid(what, str(error), piece(text, error.pos), foreign_cure(text, error.pos))


def foreign_cure(text: str, at: int) -> str | None:
    """Return what to do about a text that goes on at a character as no JSON does; None where nothing is known."""
    if text[at : at + 1] == "I" and text[at - 1 : at] == "-":
        at -= 1
    return next((cure for begins, cure in FOREIGN if begins.match(text, at)), None)


def invalid(what: str, message: str, near: str, cure: str | None = None) -> InvalidJson:
    """Return the error: `message` has the place, `near` is the text around it."""
    cure = next((cure for part, cure in CURES if part in message), cure)
    shown = f", near: {near}" if near else ""
    return InvalidJson(f"{what} is not JSON: {message}{shown}{f' ({cure})' if cure else ''}")


def piece(text: str, at: int) -> str:
    """Return the text around a character, in one line."""
    return UNPRINTABLE.sub(" ", text[max(0, at - AROUND) : at + AROUND]).strip()
