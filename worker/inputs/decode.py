"""What a client gives as the content of a file: base64, a data URI or a URL, under a plain name."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping

from worker.errors import Detail, InvalidInputFile, UrlRefused
from worker.fetch.target import read_target
from worker.job import InputFile

NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
DATA_URI = re.compile(r"data:([\w.+-]+/[\w.+-]+)?(;[\w.+=-]+)*;base64,", re.ASCII)


def read_inputs(given: Mapping[str, str]) -> tuple[tuple[InputFile, ...], dict[str, str]]:
    """Files by name: those that are here, and the URLs of those to fetch. Raises InvalidInputFile, UrlRefused."""
    urls = {name: text for name, text in given.items() if URL.match(text)}
    for name, url in urls.items():
        check_name(name)
        try:
            read_target(url)
        except UrlRefused as error:
            cure = error.details[0].suggestion
            raise UrlRefused(f"input {name!r}: {error}", [Detail(error.message, input=name, suggestion=cure)]) from None
    return tuple(read_input(name, text) for name, text in given.items() if name not in urls), urls


def read_input(name: str, text: str) -> InputFile:
    """An input file from base64 or a data URI. Raises InvalidInputFile."""
    check_name(name)
    uri = DATA_URI.match(text)
    try:
        data = base64.b64decode(text[uri.end() :] if uri else text, validate=True)
    except (binascii.Error, ValueError) as error:
        cure = "send base64, a data URI or a URL"
        detail = Detail(str(error), input=name, suggestion=cure)
        raise InvalidInputFile(f"input {name!r} is not base64: {cure}", [detail]) from None
    if not data:
        raise InvalidInputFile(f"input {name!r} is empty")
    return InputFile(name, data)


def check_name(name: str) -> None:
    """A plain file name. Raises InvalidInputFile: anything like a path could leave the job's own folder."""
    if not NAME.fullmatch(name) or name in {".", ".."}:
        raise InvalidInputFile(
            f"{name!r} can't be the name of an input file", [Detail("use a plain file name", input=name)]
        )
