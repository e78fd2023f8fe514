"""Values at a limit: depth of JSON, digits that no integer is read from, names by bytes, forms in raw bytes."""

from __future__ import annotations

import re
from random import Random

from chaos.fuzzing.fuzz_request import FuzzRequest
from chaos.fuzzing.graphs import MARK

DEPTHS = (2, 20, 60, 80, 95, 100, 101, 120, 200, 250, 254, 255, 300, 500, 900, 980, 1_000)
DEEP = "qzdeep"
NESTED = re.compile(rb'"qzdeep(\d+)-(\w+?)qzdeep"')
DIGITS = ("²", "٣", "१", "９", "①", "9" * 25, "9" * 5_000, "-0", "00", "1_0", "1:²", "²:1")
"""Digits for Unicode, which `int` does not read or reads as others, and numbers that are too long."""
LETTERS = ("a", "é", "画", "😀", "e\u0301", "\u202e")
RAW = (
    *(b"\xff/", b"\xff.png", b"\xed\xa0\x80", b"\0.png", b"a\0", b"", b"..", b'a\\"b', b"=?utf-8?B?////?=", b"\xc3"),
    *(b"request", b"workflow", b"inputs", b"strict", b"id", "画".encode() * 84, b"a" * 256, b"\xf0\x9f\x98\x80" * 64),
)
"""Names of a form's parts."""
HEADERS = (
    *(b"", b"", b"", b"Content-Type: application/json; charset=\xff", b"\xff: \xff", b"X: \0", b"no colon"),
    *(b"Content-Transfer-Encoding: base64", b"Content-Encoding: gzip", b"Content-Length: -1", b"X: " + b"a" * 9_000),
)


def nested(random: Random) -> str:
    """Stand in JSON for a value of some depth: Python can't write one of 1,000 levels."""
    return f"{DEEP}{random.choice(DEPTHS)}-{random.choice(('lists', 'objects', 'both'))}{DEEP}"


def deepened(json: bytes) -> bytes:
    """Put the values where `nested` stands."""
    return NESTED.sub(_written, json)


def _written(found: re.Match[bytes]) -> bytes:
    levels, kind = int(found[1]), found[2].decode()
    opens, closes = {"lists": (b"[", b"]"), "objects": (b'{"a":', b"}"), "both": (b'[{"a":', b"}]")}[kind]
    times = levels // 2 if kind == "both" else levels
    return opens * times + b"1" + closes * times


def long_name(random: Random) -> str:
    """A name of 232 to 262 bytes, which a file system takes or does not."""
    letter, size = random.choice(LETTERS), random.randrange(232, 263)
    name = MARK + letter * ((size - len(MARK)) // len(letter.encode()))
    return name + random.choice(("", ".png", " [output]"))


def raw_form(body: bytes, path: str, random: Random) -> FuzzRequest:
    """A form with the body in it, in bytes that no library writes."""
    name = random.choice(("request", "request", "request", "workflow", "x")).encode()
    parts = [(name, body), *((random.choice(RAW), b"x") for _ in range(random.randrange(3)))]
    random.shuffle(parts)
    form = b"".join(_part(*part, random) for part in parts) + random.choice((b"--x--\r\n", b"--x--\r\n", b"--x", b""))
    if random.random() < 0.1:
        form = form[: random.randrange(len(form) + 1)]
    headers = {"Content-Type": "multipart/form-data; boundary=x", "Connection": "close"}
    return FuzzRequest("POST", path, form, headers, kind="form")


def _part(name: bytes, data: bytes, random: Random) -> bytes:
    filename = b'; filename="' + random.choice(RAW) + b'"' if random.random() < 0.4 else b""
    head = b'--x\r\nContent-Disposition: form-data; name="' + name + b'"' + filename + b"\r\n"
    more = random.choice(HEADERS)
    return head + (more + b"\r\n" if more else b"") + b"\r\n" + data + b"\r\n"
