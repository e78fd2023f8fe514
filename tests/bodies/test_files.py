"""Long strings as files: detection, contents and removal."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import time
import tracemalloc
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import orjson
import pytest

from tests.bodies.chunks import SMALL, cut, files, scanned, stream
from worker.bodies import BodyLimits, BodyReader, ScannedBody, SpooledText, SpoolFolder, open_json, read_json
from worker.bodies.folder import in_thread
from worker.errors import BodyTooLarge, DiskFull, InvalidJson

MIB = 1024 * 1024
LONG = "abcdefghijklmnop"


async def test_long_strings_are_found_where_they_stand(tmp_path: Path) -> None:
    """Each long string has its location, size and hash at any depth. Short strings stay in the value."""
    value = {"a": [1, {"b": LONG}], "c": "short", "d": {"e": LONG + "é"}}
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned(cut(orjson.dumps(value), 5), folder)
        texts = {text.name: text for text in scan.spooled}
        assert set(texts) == {"a.1.b", "d.e"}
        assert scan.value["a"][1]["b"] is texts["a.1.b"]
        assert scan.value["c"] == "short"
        utf8 = (LONG + "é").encode()
        assert texts["d.e"].path.read_bytes() == utf8
        assert (texts["d.e"].size, texts["d.e"].sha256) == (len(utf8), hashlib.sha256(utf8).hexdigest())


async def test_the_body_itself_may_be_a_long_string(tmp_path: Path) -> None:
    """A long string as the whole body is spooled and restored."""
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned([orjson.dumps(LONG)], folder)
        assert isinstance(scan.value, SpooledText)
        await scan.restore_texts()
        assert scan.value == LONG


@pytest.mark.parametrize(("length", "spooled"), [(8, 0), (9, 1)])
@pytest.mark.parametrize("unit", ["a", "\\u0061"])
async def test_the_length_of_the_text_decides(tmp_path: Path, length: int, spooled: int, unit: str) -> None:
    """A string is long by the length of its decoded text."""
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned(cut(f'["{unit * length}"]'.encode(), 7), folder)
        assert len(scan.spooled) == len(files(tmp_path)) == spooled


async def test_the_last_of_two_equal_keys_wins(tmp_path: Path) -> None:
    """The last of two equal keys wins, and the file of the first is removed at once."""
    async with SpoolFolder(tmp_path) as folder:
        scan = await scanned(
            [b'{"a": "abcdefghijklm", "b": {"c": "abcdefghijklm"}, "a": "nopqrstuvwxyz", "b": 1}'], folder
        )
        assert [text.path for text in scan.spooled] == files(tmp_path)
        assert await scan.value["a"].text(100) == "nopqrstuvwxyz"
        assert scan.value["b"] == 1


async def test_what_is_taken_stays(tmp_path: Path) -> None:
    """A file that was moved out survives the request. All others are removed with the folder."""
    async with SpoolFolder(tmp_path / "bodies") as folder:
        scan = await scanned([orjson.dumps([LONG, LONG])], folder)
        await folder.move_out(scan.spooled[0].path, tmp_path / "taken")
    assert files(tmp_path) == [tmp_path / "taken"]
    assert not list((tmp_path / "bodies").iterdir())


async def test_a_body_without_long_strings_makes_no_folder(tmp_path: Path) -> None:
    """A body without long strings creates no folder."""
    async with SpoolFolder(tmp_path / "bodies") as folder:
        assert (await scanned([b'{"a": ', b"[1]}"], folder)).value == {"a": [1]}
    assert not (tmp_path / "bodies").exists()


async def test_placeholders_cannot_be_forged(tmp_path: Path) -> None:
    """A string that looks like the placeholder of another request is a normal string."""
    async with SpoolFolder(tmp_path) as folder:
        limits = BodyLimits(total=1000, text=40)
        scan = await scanned([orjson.dumps(["0123456789abcdef01234567:0", "x" * 41])], folder, limits)
        assert scan.value[0] == "0123456789abcdef01234567:0"
        assert scan.spooled[0].location == (1,)


@pytest.mark.parametrize(
    ("body", "limits"),
    [
        (b'["' + b"a" * 2000 + b'"]', BodyLimits(total=1000, text=8)),
        (b"[" + b"1," * 1000 + b"1]", BodyLimits(total=10_000, text=8, skeleton=1000)),
        (b'["abcdefghijkl",' + b"[]," * 100 + b"1]", BodyLimits(total=10_000, text=8, units=400)),
    ],
)
@pytest.mark.parametrize("size", [1, 100, 10_000])
async def test_large_bodies_are_refused(tmp_path: Path, body: bytes, limits: BodyLimits, size: int) -> None:
    """A body or a skeleton above a limit is 413, and no file remains."""
    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(BodyTooLarge):
            await scanned(cut(body, size), folder, limits)
    assert not files(tmp_path)


async def test_what_is_too_large_is_not_read_to_its_end(tmp_path: Path) -> None:
    """No more data is read after a limit is exceeded."""
    read: list[int] = []

    def endless() -> Iterator[bytes]:
        yield b'["'
        while True:
            read.append(1)
            yield b"a" * 100

    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(BodyTooLarge):
            await scanned(endless(), folder, BodyLimits(total=1000))
    assert len(read) == 10


async def test_commas_in_long_strings_do_not_count(tmp_path: Path) -> None:
    """Commas in a long string do not count for the cost of parsing."""
    async with SpoolFolder(tmp_path) as folder:
        body = orjson.dumps([orjson.dumps([{"a": [1, 2]}] * 100).decode()])
        for size in (1, 10, 10_000):
            scan = await scanned(cut(body, size), folder, BodyLimits(total=10_000, text=64, units=10))
            assert len(scan.spooled) == 1


async def test_a_client_that_leaves_leaves_nothing(tmp_path: Path) -> None:
    """An error of the connection is raised, and all files are removed."""

    async def broken() -> AsyncIterator[bytes]:
        yield b'["' + b"a" * 600_000
        raise ConnectionResetError

    async with SpoolFolder(tmp_path) as folder:
        with pytest.raises(ConnectionResetError):
            await read_json(broken(), folder, BodyLimits(total=MIB))
        assert files(tmp_path)
    assert not files(tmp_path)


async def test_a_cancelled_request_leaves_nothing(tmp_path: Path) -> None:
    """A cancelled request waits for its thread and removes its files."""

    async def slow() -> AsyncIterator[bytes]:
        yield b'["'
        while True:
            yield b"a" * 300_000
            await asyncio.sleep(0)

    async def request() -> None:
        async with SpoolFolder(tmp_path) as folder:
            await read_json(slow(), folder, BodyLimits(total=1000 * MIB))

    for pause in (0.005, 0.02, 0.05):
        task = asyncio.create_task(request())
        await asyncio.sleep(pause)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert not files(tmp_path)


@pytest.mark.parametrize(("length", "spooled"), [(1000, 0), (100_000, 1)])
async def test_a_body_brings_its_own_folder_where_it_needs_one(tmp_path: Path, length: int, spooled: int) -> None:
    """`open_json` creates a folder for a long body only, until the context ends."""
    text = b"a" * length
    parent = tmp_path / "bodies"
    async with open_json(stream([b'["' + text + b'"]']), parent, BodyLimits(total=MIB)) as body:
        assert len(files(tmp_path)) == len(body.spooled) == spooled
        assert parent.exists() == bool(spooled)
        await body.restore_texts()
        assert body.value == [text.decode()]
    assert not files(tmp_path)


@pytest.mark.parametrize(("size", "short"), [(64, True), (65, False), (101, False)])
async def test_a_short_body_ends_where_a_string_could_be_long(tmp_path: Path, size: int, short: bool) -> None:
    """A body that could contain a long string is not read as a short one, and loses nothing."""
    limits, text = BodyLimits(total=100, text=64), "a" * (size - 4)
    reader = BodyReader(stream([orjson.dumps([text])]))
    body = await reader.read_short(limits)
    assert (body is not None) is short
    async with SpoolFolder(tmp_path) as folder:
        if size > limits.total:
            with pytest.raises(BodyTooLarge):
                await reader.read(folder, limits)
        else:
            assert (await reader.read(folder, limits)).value == [text]


async def test_a_thread_has_ended_before_its_caller_goes_on() -> None:
    """`in_thread` waits for its thread even if the caller is cancelled."""
    ended: list[bool] = []

    def work() -> None:
        time.sleep(0.1)
        ended.append(True)

    task = asyncio.create_task(in_thread(work))
    await asyncio.sleep(0.02)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended


async def test_a_full_disk_has_an_error_of_its_own(tmp_path: Path) -> None:
    """A write error on a full disk becomes DiskFull. Other errors do not change."""
    with pytest.raises(DiskFull):
        await in_thread(lambda: Path("/dev/full").write_bytes(b"x"))
    (tmp_path / "file").touch()
    async with SpoolFolder(tmp_path / "file") as folder:
        with pytest.raises(OSError, match=r"file") as caught:
            await scanned([orjson.dumps([LONG])], folder)
    assert caught.value.errno == errno.EEXIST


async def test_a_full_disk_ends_the_reading(tmp_path: Path) -> None:
    """A full disk ends the request with DiskFull."""

    class Full(SpoolFolder):
        def new_path(self) -> Path:
            path = super().new_path()
            path.symlink_to("/dev/full")
            return path

    async with Full(tmp_path) as folder:
        with pytest.raises(DiskFull):
            await scanned([b'["' + b"a" * 100_000 + b'"]'], folder)
    assert not list(tmp_path.iterdir())


async def test_head_comes_before_the_body(tmp_path: Path) -> None:
    """`head` returns the beginning, and `read` then returns the whole body."""
    chunks = stream([b'{"who": 1,', b' "a": "', LONG.encode(), b'"}'])
    reader = BodyReader(chunks)
    assert await reader.head(12) == b'{"who": 1, "a": "'
    assert await reader.head(3) == b'{"who": 1, "a": "'
    async with SpoolFolder(tmp_path) as folder:
        scan = await reader.read(folder, SMALL)
        assert await scan.value["a"].text(100) == LONG
        with pytest.raises(InvalidJson):
            await reader.read(folder, SMALL)
    assert await BodyReader(stream([b"[]"])).head(64) == b"[]"


async def read_all(folder: SpoolFolder, chunks: Iterator[bytes]) -> ScannedBody:
    return await read_json(stream(chunks), folder, BodyLimits(total=100 * MIB))


async def test_memory_stays_flat(tmp_path: Path) -> None:
    """A string of 60 MiB is read and decoded with a few MiB of memory."""

    def body() -> Iterator[bytes]:
        yield b'{"inputs": {"a": "data:image/png;base64,'
        for _ in range(960):
            yield b"QUJD" * 16384
        yield b'"}}'

    async with SpoolFolder(tmp_path) as folder:
        tracemalloc.start()
        scan = await read_all(folder, body())
        decoded = await scan.value["inputs"]["a"].decode_base64()
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert decoded.size == 45 * MIB
    assert peak < 8 * MIB
