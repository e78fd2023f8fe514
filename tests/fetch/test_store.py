"""The cache of fetched files: quota, eviction and holds."""

from __future__ import annotations

import hashlib
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from tests.fetch.origin import at_once, broken, content, fetching, opened, serving
from worker.errors import CacheFull, FetchFailed, InputTooLarge
from worker.fetch.partial import Partial
from worker.fetch.store import FileHold, Store

KIB = 1024


def opened_store(folder: Path, quota: int = 10 * KIB) -> Store:
    store = Store(folder, quota)
    store.open()
    return store


async def keep(store: Store, data: bytes) -> FileHold:
    with store.incoming() as partial:
        await partial.write(data)
        return store.keep(partial)


def content_of(folder: Path) -> set[bytes]:
    return {path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def piece(letter: str, kib: int = 4) -> bytes:
    return letter.encode() * kib * KIB


async def test_the_least_recently_used_file_is_evicted(tmp_path: Path) -> None:
    """keep evicts the least recently used file, and hold counts as use."""
    store = opened_store(tmp_path)
    for letter in "ab":
        (await keep(store, piece(letter))).release()
    used = store.hold(hashlib.sha256(piece("a")).hexdigest())
    assert used is not None
    used.release()
    (await keep(store, piece("c"))).release()
    assert content_of(tmp_path) == {piece("a"), piece("c")}


async def test_a_held_file_is_not_evicted(tmp_path: Path) -> None:
    """keep does not evict a file before its hold is released."""
    store = opened_store(tmp_path)
    held = await keep(store, piece("a"))
    (await keep(store, piece("b"))).release()
    (await keep(store, piece("c"))).release()
    assert content_of(tmp_path) == {piece("a"), piece("c")}
    held.release()
    (await keep(store, piece("d", 8))).release()
    assert content_of(tmp_path) == {piece("d", 8)}


async def test_two_jobs_that_hold_a_file(tmp_path: Path) -> None:
    """A file with two holds can be evicted after both are released, and a double release counts once."""
    store = opened_store(tmp_path)
    first = await keep(store, piece("a"))
    second = first.copy()
    first.release()
    first.release()
    with pytest.raises(CacheFull):
        await keep(store, piece("b", 8))
    second.release()
    (await keep(store, piece("b", 8))).release()


async def test_held_files_that_fill_the_quota(tmp_path: Path) -> None:
    """keep raises CacheFull if held files fill the quota, and leaves no partial file."""
    store = opened_store(tmp_path)
    with await keep(store, piece("a", 8)):
        with pytest.raises(CacheFull):
            await keep(store, piece("b"))
        assert content_of(tmp_path) == {piece("a", 8)}
    (await keep(store, piece("b"))).release()


async def test_partial_files_count(tmp_path: Path) -> None:
    """Two partial files that exceed the quota together cannot be written at the same time."""
    store = opened_store(tmp_path)
    with store.incoming() as one, store.incoming() as other:
        await one.write(piece("a", 8))
        with pytest.raises(CacheFull):
            await other.write(piece("b"))
    (await keep(store, piece("b", 8))).release()


async def test_a_file_larger_than_the_quota(tmp_path: Path) -> None:
    """A file above the quota raises InputTooLarge, and evicts nothing."""
    store = opened_store(tmp_path)
    (await keep(store, piece("a"))).release()
    with store.incoming() as partial, pytest.raises(InputTooLarge):
        partial.reserve(11 * KIB)
    assert content_of(tmp_path) == {piece("a")}


async def test_files_of_an_earlier_process_are_found(tmp_path: Path) -> None:
    """open reads complete files, deletes partial files, and ignores other files."""
    before = opened_store(tmp_path)
    held = await keep(before, piece("a", 8))
    (tmp_path / "partial" / "half").write_bytes(b"half")
    (tmp_path / "contents" / "notes.txt").write_bytes(b"notes")
    store = opened_store(tmp_path)
    assert content_of(tmp_path) == {piece("a", 8), b"notes"}
    again = store.hold(held.sha256)
    assert again is not None
    assert (again.path, again.size) == (held.path, 8 * KIB)
    again.release()
    (await keep(store, piece("b"))).release()
    assert content_of(tmp_path) == {piece("b"), b"notes"}


async def test_a_deleted_file_is_not_returned(tmp_path: Path) -> None:
    """hold returns None for a file that another program deleted, and its space is free."""
    store = opened_store(tmp_path)
    held = await keep(store, piece("a", 8))
    held.path.unlink()
    assert store.hold(held.sha256) is None
    (await keep(store, piece("b", 8))).release()


async def test_stored_files_are_read_only(tmp_path: Path) -> None:
    """Cached files are read-only, because jobs share them by hard link."""
    held = await keep(opened_store(tmp_path), b"x")
    assert held.path.stat().st_mode & 0o777 == 0o444


async def test_a_failed_download_releases_its_space(tmp_path: Path) -> None:
    """Failed downloads do not use up the quota."""
    data = b"x" * 700 * KIB
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(bad=broken(data, 1000), good=content(data)))
        fetcher = await stack.enter_async_context(fetching(tmp_path, fetch_allow=opened(origin), fetch_cache=1))
        for _ in range(2):
            with pytest.raises(FetchFailed):
                await fetcher.fetch(origin.url("/bad"), limits=at_once(fetcher))
        (await fetcher.fetch(origin.url("/good"))).release()
    assert content_of(tmp_path) == {data}


async def test_a_full_disk_raises_cache_full() -> None:
    """A full disk raises CacheFull."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        partial = Partial(full, lambda size: None)
        with pytest.raises(CacheFull, match="disk of this worker is full"):
            await partial.write(b"x")
