"""Values at limits: deeply nested JSON, digits that are not integers, long filenames, and forms of raw bytes."""

from __future__ import annotations

import re
from random import Random

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.workflow_grammar import MARK

DEPTHS = (2, 20, 60, 80, 95, 100, 101, 120, 200, 250, 254, 255, 300, 500, 900, 980, 1_000)
PLACEHOLDER = "qzdeep"
NESTED = re.compile(rb'"qzdeep(\d+)-(\w+?)qzdeep"')
DIGITS = ("²", "٣", "१", "９", "①", "9" * 25, "9" * 5_000, "-0", "00", "1_0", "1:²", "²:1")
"""Unicode digits, which `int` rejects or reads as other digits, and numbers that are too long."""
LETTERS = ("a", "é", "画", "😀", "e\u0301", "\u202e")
RAW_NAMES = (
    *(b"\xff/", b"\xff.png", b"\xed\xa0\x80", b"\0.png", b"a\0", b"", b"..", b'a\\"b', b"=?utf-8?B?////?=", b"\xc3"),
    *(b"request", b"workflow", b"inputs", b"strict", b"id", "画".encode() * 84, b"a" * 256, b"\xf0\x9f\x98\x80" * 64),
)
"""Names of form fields."""
PART_HEADERS = (
    *(b"", b"", b"", b"Content-Type: application/json; charset=\xff", b"\xff: \xff", b"X: \0", b"no colon"),
    *(b"Content-Transfer-Encoding: base64", b"Content-Encoding: gzip", b"Content-Length: -1", b"X: " + b"a" * 9_000),
)


def nested(random: Random) -> str:
    """Return a placeholder for a deeply nested value, because Python cannot write JSON with 1,000 levels."""
    return f"{PLACEHOLDER}{random.choice(DEPTHS)}-{random.choice(('lists', 'objects', 'both'))}{PLACEHOLDER}"


def replace_placeholders(json: bytes) -> bytes:
    """Return JSON with nested values in place of the placeholders."""
    return NESTED.sub(_nested_value, json)


def _nested_value(match: re.Match[bytes]) -> bytes:
    """Return the JSON text of a nested value."""
    levels, kind = int(match[1]), match[2].decode()
    opens, closes = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}"), "both": (b'[{"a":', b"}]")}[kind]
    times = levels // 2 if kind == "both" else levels
    return opens * times + b"1" + closes * times


def long_name(random: Random) -> str:
    """Return a filename of 232 to 262 bytes. A file system accepts at most 255."""
    letter, size = random.choice(LETTERS), random.randrange(232, 263)
    name = MARK + letter * ((size - len(MARK)) // len(letter.encode()))
    return name + random.choice(("", ".png", " [output]"))


def raw_form(body: bytes, path: str, random: Random) -> FuzzRequest:
    """Return a multipart form that contains the body, with malformed parts that no library writes."""
    name = random.choice(("request", "request", "request", "workflow", "x")).encode()
    parts = [(name, body), *((random.choice(RAW_NAMES), b"x") for _ in range(random.randrange(3)))]
    random.shuffle(parts)
    form = b"".join(_part(*part, random) for part in parts) + random.choice((b"--x--\r\n", b"--x--\r\n", b"--x", b""))
    if random.random() < 0.1:
        form = form[: random.randrange(len(form) + 1)]
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Connection": "close"}
    return FuzzRequest("POST", path, form, headers, kind="form")


def _part(name: bytes, data: bytes, random: Random) -> bytes:
    """Return one part of a form, with a random filename and header."""
    filename = b'; filename="' + random.choice(RAW_NAMES) + b'"' if random.random() < 0.4 else b""
    head = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"' + filename + b"\r\n"
    extra = random.choice(PART_HEADERS)
    return head + (extra + b"\r\n" if extra else b"") + b"\r\n" + data + b"\r\n"
