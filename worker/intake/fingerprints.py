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
    """`newest` follows the rules of this release. `former` are those of earlier releases, v0.2.0 first."""

    newest: str
    former: tuple[str, ...]


async def fingerprints(body: ScannedBody, files: Sequence[SentFile], *, first_release: bool) -> Fingerprints:
    """Return the fingerprints of a request before anything in it is changed.

    With `first_release`, the fingerprint of the release before v0.2.0 is included. It requires reading all files again.
    """
    json = body.fingerprint()
    former = [_v020_fingerprint(json, files)]
    if first_release:
        former.append(await _first_release_fingerprint(body, files))
    return Fingerprints(_newest_fingerprint(json, files), tuple(former))


def _newest_fingerprint(json: str, files: Sequence[SentFile]) -> str:
    """Return a hash of the JSON value and of name, filename and contents of each file, in order."""
    file_facts = [
        [file.name, file.aliases, file.content.sha256] for file in files if isinstance(file.content, SpooledFile)
    ]
    return hashlib.sha256(json.encode() + orjson.dumps(file_facts)).hexdigest() if file_facts else json


def _v020_fingerprint(json: str, files: Sequence[SentFile]) -> str:
    """Return the fingerprint of v0.2.0."""
    file_facts = [f"{file.name}\n{file.content.sha256}" for file in files if isinstance(file.content, SpooledFile)]
    return hashlib.sha256("\n".join([json, *file_facts]).encode()).hexdigest() if file_facts else json


async def _first_release_fingerprint(body: ScannedBody, files: Sequence[SentFile]) -> str:
    """Return the fingerprint of the first release.

    It covers the JSON with its long strings, and the contents of the files without their names.
    """
    texts = {id(text): await text.text(text.size) for text in body.spooled}

    def put_back(value: object) -> str:
        """Return the text of a long string."""
        if not isinstance(value, SpooledText):
            raise TypeError(f"{type(value).__name__} is not JSON")
        return texts[id(value)]

    digest = hashlib.sha256(orjson.dumps(body.value, default=put_back, option=orjson.OPT_SORT_KEYS))
    for file in files:
        if isinstance(file.content, SpooledFile):
            await in_thread(partial(_hash, digest, file.content))
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, file: SpooledFile) -> None:
    """Add the contents of a file to a digest."""
    with file.path.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
