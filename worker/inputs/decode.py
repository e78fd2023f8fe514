"""Input files as a client sends them: base64, a data URI or a URL, under the name that the workflow uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.bodies import Content, SpooledFile, SpooledText, decode_base64
from worker.errors import Detail, InvalidInputFile, NotBase64, UrlRefused
from worker.fetch.target import read_target
from worker.inputs.earlier_output import is_reference_text
from worker.inputs.names import check_collisions, file_name

URL = re.compile(r"[a-z][a-z0-9+.-]*://", re.ASCII | re.IGNORECASE)
CURE = "send base64, a data URI or a URL"
EXTENSIONS = {
    "image/jpeg": ".jpg",
    "image/jpg": ".jpg",
    "image/webp": ".webp",
    "image/gif": ".gif",
    "image/tiff": ".tif",
    "image/bmp": ".bmp",
    "image/avif": ".avif",
    "image/x-exr": ".exr",
    "video/mp4": ".mp4",
    "video/quicktime": ".mov",
    "video/webm": ".webm",
    "video/x-msvideo": ".avi",
    "audio/mpeg": ".mp3",
    "audio/mp4": ".m4a",
    "audio/wav": ".wav",
    "audio/ogg": ".ogg",
    "audio/flac": ".flac",
    "model/gltf-binary": ".glb",
}


@dataclass(frozen=True, slots=True)
class KeptFile:
    """An output of an earlier job that is used as an input. `sha256` is empty if it is not known yet."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file of a request: bytes in memory, a long base64 string, a file on disk, or an output of an earlier job.

    `aliases` are further names of a part of a form, such as its filename. The workflow may use one of them.
    """

    name: str
    content: bytes | SpooledText | SpooledFile | KeptFile
    aliases: tuple[str, ...] = ()

    async def decoded(self) -> bytes | SpooledFile | KeptFile:
        """Return the decoded content. Raises InvalidInputFile for bad base64, and DiskFull."""
        if not isinstance(self.content, SpooledText):
            return self.content
        try:
            file = await self.content.decode_base64()
        except NotBase64 as error:
            raise _not_base64(self.name, error) from None
        if not file.size:
            raise InvalidInputFile(f"input {self.name!r} is empty")
        return file


def read_inputs(contents: Mapping[str, Content]) -> tuple[tuple[SentFile, ...], dict[str, str]]:
    """Return the files that a request contains, and the URLs of the files to fetch by file name.

    References to earlier outputs are returned with the URLs.

    Raises InvalidInputFile for a bad name or bad base64, and UrlRefused for a URL that may not be fetched.
    """
    by_name: dict[str, Content] = {}
    for sent_name, content in contents.items():
        name = file_name(sent_name)
        if name in by_name:
            detail = Detail("rename one of them", input=sent_name)
            raise InvalidInputFile(f"two inputs have the name {name!r}", [detail])
        by_name[name] = content
    check_collisions(by_name)
    urls = {name: text for name, text in by_name.items() if isinstance(text, str) and URL.match(text)}
    for name, url in urls.items():
        try:
            if not is_reference_text(url):
                read_target(url)
        except UrlRefused as error:
            cure = error.details[0].suggestion
            raise UrlRefused(f"input {name!r}: {error}", [Detail(error.message, input=name, suggestion=cure)]) from None
    return tuple(read_input(name, text) for name, text in by_name.items() if name not in urls), urls


def read_input(name: str, text: Content) -> SentFile:
    """Return an input file from base64 or a data URI. Long texts are decoded later. Raises InvalidInputFile."""
    return SentFile(name, text if isinstance(text, SpooledText) else decode(name, text))


def decode(name: str, text: str) -> bytes:
    """Return the bytes that base64 or a data URI encodes. Raises InvalidInputFile if there are none."""
    try:
        data = decode_base64(text)
    except ValueError as error:
        raise _not_base64(name, error) from None
    if not data:
        raise InvalidInputFile(f"input {name!r} is empty")
    return data


def uri_type(uri: re.Match[str]) -> str:
    """Return the media type of a matched data URI, or "" if it has none."""
    return (uri[1] or "").replace("\\", "").lower()


def _not_base64(name: str, error: ValueError) -> InvalidInputFile:
    detail = Detail(str(error), input=name, suggestion=CURE)
    return InvalidInputFile(f"input {name!r} is not base64: {CURE}", [detail])
