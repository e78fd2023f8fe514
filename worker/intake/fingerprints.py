"""Fingerprints of requests: the same body sent again is the same job, also after an update of the worker.

Each release compares what it has stored, so what earlier ones computed is computed as well.
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
    """`newest` is by the rules of this release, `former` by those of earlier ones, v0.2.0 first."""

    newest: str
    former: tuple[str, ...]


async def fingerprints(body: ScannedBody, files: Sequence[SentFile], *, first_release: bool) -> Fingerprints:
    """Return the fingerprints of a request as it was sent, before anything in it is changed.

    `first_release`: also that of the release before v0.2.0, which takes reading all files again.
    """
    json = body.fingerprint()
    former = [_of_v020(json, files)]
    if first_release:
        former.append(await _of_first_release(body, files))
    return Fingerprints(_newest(json, files), tuple(former))


def _newest(json: str, files: Sequence[SentFile]) -> str:
    """Cover the value of the JSON, and of each file in its order the name, the filename and the bytes."""
    beside = [
        [file.name, file.other_names, file.content.sha256] for file in files if isinstance(file.content, SpooledFile)
    ]
    return hashlib.sha256(json.encode() + orjson.dumps(beside)).hexdigest() if beside else json


def _of_v020(json: str, files: Sequence[SentFile]) -> str:
    beside = [f"{file.name}\n{file.content.sha256}" for file in files if isinstance(file.content, SpooledFile)]
    return hashlib.sha256("\n".join([json, *beside]).encode()).hexdigest() if beside else json


async def _of_first_release(body: ScannedBody, files: Sequence[SentFile]) -> str:
    """The whole JSON, and the bytes of the files one after the other without their names."""
    texts = {id(text): await text.text(text.size) for text in body.spooled}

    def put_back(value: object) -> str:
        if not isinstance(value, SpooledText):
            raise TypeError(f"{type(value).__name__} is not JSON")
        return texts[id(value)]

    digest = hashlib.sha256(orjson.dumps(body.value, default=put_back, option=orjson.OPT_SORT_KEYS))
    for file in files:
        if isinstance(file.content, SpooledFile):
            await in_thread(partial(_hash, digest, file.content))
    return digest.hexdigest()


def _hash(digest: hashlib._Hash, file: SpooledFile) -> None:
    with file.path.open("rb") as source:
        while block := source.read(BLOCK):
            digest.update(block)
