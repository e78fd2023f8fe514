"""Fingerprints of requests. They show that a body was sent before, also after an update of the worker.

The job index stores fingerprints of the release that accepted the job, so those of earlier releases are computed too.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import orjson

from worker.bodies import ScannedBody, SpooledFile, SpooledText, in_thread
from worker.inputs import SentFile

BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Fingerprints:
    """Fingerprints of one request.

    `newest` follows the rules of this release, `earlier_releases` those of v0.2.0 and perhaps of the first release.
    """

    newest: str
    earlier_releases: tuple[str, ...]


async def fingerprints(body: ScannedBody, files: Sequence[SentFile], *, first_release: bool) -> Fingerprints:
    """Return the fingerprints of a request before anything in it is changed.

    With `first_release`, the fingerprint of the release before v0.2.0 is included. It requires reading all files again.
    """
    json_hash = body.fingerprint()
    earlier_releases = [_v020_fingerprint(json_hash, files)]
    if first_release:
        earlier_releases.append(await _first_release_fingerprint(body, files))
    return Fingerprints(_newest_fingerprint(json_hash, files), tuple(earlier_releases))


def _newest_fingerprint(json_hash: str, files: Sequence[SentFile]) -> str:
    """Return a hash of the JSON value and of name, filename and contents of each file beside it, in order.

    Without files it is the hash of the JSON value.
    """
    file_facts = [
        [file.name, file.aliases, file.content.sha256] for file in files if isinstance(file.content, SpooledFile)
    ]
    return hashlib.sha256(json_hash.encode() + orjson.dumps(file_facts)).hexdigest() if file_facts else json_hash


def _v020_fingerprint(json_hash: str, files: Sequence[SentFile]) -> str:
    """Return the fingerprint that v0.2.0 computes, which has no filenames."""
    file_facts = [f"{file.name}\n{file.content.sha256}" for file in files if isinstance(file.content, SpooledFile)]
    return hashlib.sha256("\n".join([json_hash, *file_facts]).encode()).hexdigest() if file_facts else json_hash


async def _first_release_fingerprint(body: ScannedBody, files: Sequence[SentFile]) -> str:
    """Return the fingerprint of the first release.

    It covers the JSON with its long strings, and the contents of the files without their names.
    """
    texts = {id(text): await text.text(text.size) for text in body.spooled}

    def text_of_spooled(value: object) -> str:
        """Return the text that the JSON encoder writes in place of a SpooledText. Raises TypeError for other values."""
        if not isinstance(value, SpooledText):
            raise TypeError(f"{type(value).__name__} is not JSON")
        return texts[id(value)]

    digest = hashlib.sha256(orjson.dumps(body.value, default=text_of_spooled, option=orjson.OPT_SORT_KEYS))
    for file in files:
        if isinstance(file.content, SpooledFile):
            await in_thread(partial(_add_contents, digest, file.content))
    return digest.hexdigest()


def _add_contents(digest: hashlib._Hash, file: SpooledFile) -> None:
    """Add the contents of a file to a digest."""
    with file.path.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
