"""media_facts returns width, height and duration, and never raises, waits or reads without a limit."""

from __future__ import annotations

import io
import os
import struct
import time
from contextlib import suppress
from dataclasses import astuple
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media_facts.samples import MOVING, SAMPLES, SIZE, box, mp4
from worker.media_facts import MediaFacts, media_facts
from worker.media_facts.read import BY_EXTENSION, SIGNATURES, Parser
from worker.media_facts.source import BYTES_A_READ, FEWEST_READS, MOST_BYTES, Findings, MediaSource, Unreadable

HEAD = 256 * 1024


def facts(path: Path, data: bytes, head: int = HEAD) -> MediaFacts:
    path.write_bytes(data)
    return media_facts(path, data[:head])


@pytest.mark.parametrize("name", SAMPLES)
@pytest.mark.parametrize("head", [HEAD, 64])
def test_facts_of_each_format(tmp_path: Path, name: str, head: int) -> None:
    """media_facts returns pixels and seconds, whether the headers are in the first bytes or later."""
    make, expected = SAMPLES[name]
    assert astuple(facts(tmp_path / name, make(), head)) == expected


def test_a_video_of_four_gigabytes_is_read_at_its_end(tmp_path: Path) -> None:
    """media_facts skips the data of a large MP4 to read its headers at the end."""
    whole = mp4()
    start, size = whole.index(b"moov") - 4, 4 * 1024**3
    path = tmp_path / "long.mp4"
    with path.open("wb") as file:
        file.write(whole[: whole.index(b"mdat") - 4] + struct.pack(">I4sQ", 1, b"mdat", size))
        file.seek(whole.index(b"mdat") - 4 + size)
        file.write(whole[start:])
    began = time.perf_counter()
    with path.open("rb") as file:
        assert astuple(media_facts(path, file.read(HEAD))) == MOVING
    assert time.perf_counter() - began < 10


@pytest.mark.parametrize("name", SAMPLES)
def test_a_damaged_file_raises_nothing(tmp_path: Path, name: str) -> None:
    """media_facts returns the readable facts of a file that is truncated or has changed bytes."""
    whole, random, path = SAMPLES[name][0](), Random(name), tmp_path / name
    for length in {random.randrange(len(whole)) for _ in range(30)}:
        facts(path, whole[:length], random.choice([HEAD, 32]))
    for _ in range(60):
        data = bytearray(whole)
        for _ in range(random.randint(1, 12)):
            data[random.randrange(min(len(data), random.choice([64, len(data)])))] = random.choice(
                [0, 1, 127, 128, 255]
            )
        found = facts(path, bytes(data), random.choice([HEAD, 32]))
        assert all(side is None or 0 < side < 1 << 25 for side in (found.width, found.height))
        assert found.duration_s is None or 0 <= found.duration_s < 1e9


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(range(len(SIGNATURES) + len(BY_EXTENSION))), st.binary(max_size=300))
def test_any_bytes_after_a_signature_raise_nothing(
    tmp_path_factory: pytest.TempPathFactory, which: int, data: bytes
) -> None:
    """media_facts does not raise for random bytes after the signature of a format."""
    place, mark = SIGNATURES[which][:2] if which < len(SIGNATURES) else (0, b"")
    name = "a" if which < len(SIGNATURES) else f"a{[*BY_EXTENSION][which - len(SIGNATURES)]}"
    facts(tmp_path_factory.mktemp("any") / name, bytes(place) + mark + data)


class CountingFile(io.RawIOBase):
    """A file that repeats one pattern without end, and counts the bytes that are read."""

    def __init__(self, pattern: bytes) -> None:
        self._pattern = pattern
        self._place = 0
        self.taken = 0

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        self._place = place
        return place

    def read(self, size: int | None = -1) -> bytes:
        start = self._place % len(self._pattern)
        assert size is not None
        data = (self._pattern * (size // len(self._pattern) + 2))[start : start + size]
        self.taken += size
        return data


ENDLESS: dict[str, tuple[bytes, bytes]] = {
    "boxes": (b"\0\0\0\x08ftyp", b"\0\0\0\x08free"),
    "far boxes": (b"\0\0\0\x08ftyp", b"\0\0\x10\x00free" + bytes(4088)),
    "elements": (b"\x1aE\xdf\xa3\x80", b"\xec\x80"),
    "segments": (b"\x1aE\xdf\xa3\x80", b"\x18\x53\x80\x67\x80"),
    "chunks": (b"RIFF\xff\xff\xff\xffWEBP", b"junk\0\0\0\0"),
    "animation": (b"RIFF\xff\xff\xff\xffWEBP", b"ANMF\x10\0\0\0" + bytes(16)),
    "png": (b"\x89PNG\r\n\x1a\n", b"\0\0\0\0tEXt\0\0\0\0"),
    "gif": (b"GIF89a\1\0\1\0\0\0\0", b"!\xfe\0"),
    "gif blocks": (b"GIF89a\1\0\1\0\0\0\0!\xfe", b"\1a"),
    "ogg": (b"OggS" + bytes(22) + b"\0OpusHead" + bytes(20), b"OggS"),
    "svg": (b"<svg ", b"width=' "),
    "exr": (b"v/1\x01", b"displayWindow\0"),
    "jpeg": (b"\xff\xd8\xff", b"\xff\xff"),
    "tiff": (b"II*\0\x08\0\0\0\xff\xff", b"\1\0"),
    "mp3": (b"\xff\xfb\x90\0", b"\xff\xfb\x90\0"),
    "mp3 sync": (b"\xff", b"\xff"),
    "aac": (b"\xff\xf1\x40\0\0\xff\0", b"\xff\xf1\x40\0\0\xff\0"),
}
"""What a file begins with, and what comes then for 64 GiB."""


@pytest.mark.parametrize("name", ENDLESS)
def test_an_endless_file_is_not_read_forever(name: str) -> None:
    """media_facts reads at most 16 MiB of a file, in less than a second."""
    mark, pattern = ENDLESS[name]
    file = CountingFile(pattern)
    parsers: list[Parser] = [parser for place, known, parser in SIGNATURES if mark.startswith(known, place)]
    parsers += [BY_EXTENSION[f".{name.split(maxsplit=1)[0]}"]] if not parsers else []
    began = time.process_time()
    for parser in parsers:
        source, findings = MediaSource(file, mark, 64 * 1024**3), Findings()  # type: ignore[arg-type]
        with suppress(Unreadable):
            parser(source, findings)
    assert file.taken <= MOST_BYTES
    assert time.process_time() - began < 10


def test_a_small_file_allows_few_reads(tmp_path: Path) -> None:
    """media_facts reads 256 KiB of very small boxes in a few milliseconds, because it runs on the event loop."""
    source = MediaSource(io.BytesIO(), b"", HEAD)
    data = box(b"ftyp", b"isom") + box(b"free", b"") * (HEAD // 8)
    began = time.process_time()
    assert facts(tmp_path / "a.mp4", data[:HEAD]) == MediaFacts()
    assert time.process_time() - began < 0.5
    for _ in range(FEWEST_READS + HEAD // BYTES_A_READ):
        source.read(0, 0)
    with pytest.raises(Unreadable):
        source.read(0, 0)


def test_an_impossible_size_is_ignored(tmp_path: Path) -> None:
    """media_facts ignores a size of 0, and one above 16 million pixels a side."""
    for sides in ((0, 32), (1 << 25, 32)):
        data = mp4().replace(struct.pack(">2I", SIZE[0] << 16, SIZE[1] << 16), struct.pack(">2I", 0, sides[1] << 16))
        assert facts(tmp_path / "a.mp4", data).width is None
