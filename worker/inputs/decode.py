"""What a client gives as the content of a file: base64, a data URI or a URL, under a plain name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass

from worker.bodies import Content, SpooledFile, SpooledText, decode_base64
from worker.errors import Detail, InvalidInputFile, NotBase64, UrlRefused
from worker.fetch.target import read_target

NAME = re.compile(r"[^/\\\x00-\x1f]{1,200}")
LONGEST_NAME = 255
"""Bytes of a file's name, on any file system."""
URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
CURE = "send base64, a data URI or a URL"
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "video/mp4": ".mp4",
    "audio/mpeg": ".mp3",
}


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as it came with a request: a small one in memory, a long string of base64, or a file of its own."""

    name: str
    content: bytes | SpooledText | SpooledFile

    async def decoded(self) -> bytes | SpooledFile:
        """Return the file itself. Raises InvalidInputFile, DiskFull."""
        if not isinstance(self.content, SpooledText):
            return self.content
        try:
            file = await self.content.decode_base64()
        except NotBase64 as error:
            raise _not_base64(self.name, error) from None
        if not file.size:
            raise InvalidInputFile(f"input {self.name!r} is empty")
        return file


def read_inputs(given: Mapping[str, Content]) -> tuple[tuple[SentFile, ...], dict[str, str]]:
    """Files by name: those that are here, and the URLs of those to fetch. Raises InvalidInputFile, UrlRefused."""
    urls = {name: text for name, text in given.items() if isinstance(text, str) and URL.match(text)}
    for name, url in urls.items():
        check_name(name)
        try:
            read_target(url)
        except UrlRefused as error:
            cure = error.details[0].suggestion
            raise UrlRefused(f"input {name!r}: {error}", [Detail(error.message, input=name, suggestion=cure)]) from None
    return tuple(read_input(name, text) for name, text in given.items() if name not in urls), urls


def read_input(name: str, text: Content) -> SentFile:
    """An input file from base64 or a data URI; a long one is decoded later. Raises InvalidInputFile."""
    check_name(name)
    return SentFile(name, text if isinstance(text, SpooledText) else decode(name, text))


def decode(name: str, text: str) -> bytes:
    """Return what base64 or a data URI holds. Raises InvalidInputFile."""
    try:
        data = decode_base64(text)
    except ValueError as error:
        raise _not_base64(name, error) from None
    if not data:
        raise InvalidInputFile(f"input {name!r} is empty")
    return data


def spellings(name: str) -> tuple[str, ...]:
    """Return a name in the forms of Unicode in which a workflow may write it.

    macOS writes é as two characters (NFD) and other systems as one (NFC); its names of screenshots have a narrow space,
    for which people type a plain one (NFKC).
    """
    return tuple(unicodedata.normalize(form, name) for form in ("NFKC", "NFD", "NFC"))


def check_name(name: str) -> None:
    """A plain file name. Raises InvalidInputFile: anything like a path could leave the job's own folder."""
    if not NAME.fullmatch(name) or name in {".", ".."} or len(name.encode()) > LONGEST_NAME:
        raise InvalidInputFile(
            f"{name!r} can't be the name of an input file", [Detail("use a plain file name", input=name)]
        )


def _not_base64(name: str, error: ValueError) -> InvalidInputFile:
    detail = Detail(str(error), input=name, suggestion=CURE)
    return InvalidInputFile(f"input {name!r} is not base64: {CURE}", [detail])
