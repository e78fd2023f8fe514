"""What a client gives as the content of a file: base64, a data URI or a URL, under the name that the workflow uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from worker.bodies import Content, SpooledFile, SpooledText, decode_base64
from worker.errors import Detail, InvalidInputFile, NotBase64, UrlRefused
from worker.fetch.target import read_target
from worker.inputs.earlier_output import is_reference_text
from worker.inputs.names import check_together, file_name

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
    """An output of an earlier job, which stays where it is. `sha256` is empty where it is not known."""

    path: Path
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class SentFile:
    """A file as it came with a request: a small one in memory, a long string of base64, or a file of its own.

    Or an output of an earlier job, which the request names. `other_names` are those of a part of a form beside
    the part's own, one of which the workflow may use.
    """

    name: str
    content: bytes | SpooledText | SpooledFile | KeptFile
    other_names: tuple[str, ...] = ()

    async def decoded(self) -> bytes | SpooledFile | KeptFile:
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
    by_name: dict[str, Content] = {}
    for written, content in given.items():
        name = file_name(written)
        if name in by_name:
            raise InvalidInputFile(f"two inputs have the name {name!r}", [Detail("rename one of them", input=written)])
        by_name[name] = content
    check_together(by_name)
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
    """An input file from base64 or a data URI; a long one is decoded later. Raises InvalidInputFile."""
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


def uri_type(uri: re.Match[str]) -> str:
    """Return the media type of a data URI by the match of its head, "" where it names none."""
    return (uri[1] or "").replace("\\", "").lower()


def _not_base64(name: str, error: ValueError) -> InvalidInputFile:
    detail = Detail(str(error), input=name, suggestion=CURE)
    return InvalidInputFile(f"input {name!r} is not base64: {CURE}", [detail])
