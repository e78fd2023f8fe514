"""Fetched files take so much disk and no more; what a job holds stays, what nobody needs goes first."""

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


async def test_the_least_recently_used_file_makes_room(tmp_path: Path) -> None:
    """Using a file again counts as use."""
    store = opened_store(tmp_path)
    for letter in "ab":
        (await keep(store, piece(letter))).release()
    used = store.hold(hashlib.sha256(piece("a")).hexdigest())
    assert used is not None
    used.release()
    (await keep(store, piece("c"))).release()
    assert content_of(tmp_path) == {piece("a"), piece("c")}


async def test_what_a_job_holds_is_never_evicted(tmp_path: Path) -> None:
    """Though it is the oldest; once released it may go."""
    store = opened_store(tmp_path)
    held = await keep(store, piece("a"))
    (await keep(store, piece("b"))).release()
    (await keep(store, piece("c"))).release()
    assert content_of(tmp_path) == {piece("a"), piece("c")}
    held.release()
    (await keep(store, piece("d", 8))).release()
    assert content_of(tmp_path) == {piece("d", 8)}


async def test_two_jobs_that_hold_a_file(tmp_path: Path) -> None:
    """It is free when the second one has let go, and letting go twice counts once."""
    store = opened_store(tmp_path)
    first = await keep(store, piece("a"))
    second = first.copy()
    first.release()
    first.release()
    with pytest.raises(CacheFull):
        await keep(store, piece("b", 8))
    second.release()
    (await keep(store, piece("b", 8))).release()


async def test_full_of_what_jobs_hold(tmp_path: Path) -> None:
    """An error that another worker may not have, and nothing half-written stays."""
    store = opened_store(tmp_path)
    with await keep(store, piece("a", 8)):
        with pytest.raises(CacheFull):
            await keep(store, piece("b"))
        assert content_of(tmp_path) == {piece("a", 8)}
    (await keep(store, piece("b"))).release()


async def test_what_is_being_written_counts(tmp_path: Path) -> None:
    """Two files that fit one after the other don't fit at the same time."""
    store = opened_store(tmp_path)
    with store.incoming() as one, store.incoming() as other:
        await one.write(piece("a", 8))
        with pytest.raises(CacheFull):
            await other.write(piece("b"))
    (await keep(store, piece("b", 8))).release()


async def test_larger_than_everything(tmp_path: Path) -> None:
    """What could never fit evicts nothing, and is the client's to mend."""
    store = opened_store(tmp_path)
    (await keep(store, piece("a"))).release()
    with store.incoming() as partial, pytest.raises(InputTooLarge):
        partial.reserve(11 * KIB)
    assert content_of(tmp_path) == {piece("a")}


async def test_files_of_an_earlier_life_count_and_are_found(tmp_path: Path) -> None:
    """Whole ones by their content; halves are gone, strange files are left alone."""
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


async def test_a_file_that_somebody_deleted_is_not_there(tmp_path: Path) -> None:
    """It is not handed out, and its place is free."""
    store = opened_store(tmp_path)
    held = await keep(store, piece("a", 8))
    held.path.unlink()
    assert store.hold(held.sha256) is None
    (await keep(store, piece("b", 8))).release()


async def test_stored_files_are_not_written_to(tmp_path: Path) -> None:
    """Jobs share them by hard link: who may not change one may not change it for the others."""
    held = await keep(opened_store(tmp_path), b"x")
    assert held.path.stat().st_mode & 0o777 == 0o444


async def test_a_broken_download_gives_its_room_back(tmp_path: Path) -> None:
    """Failed downloads don't fill the quota."""
    data = b"x" * 700 * KIB
    async with AsyncExitStack() as stack:
        origin = await stack.enter_async_context(serving(bad=broken(data, 1000), good=content(data)))
        fetcher = await stack.enter_async_context(fetching(tmp_path, fetch_allow=opened(origin), fetch_cache=1))
        for _ in range(2):
            with pytest.raises(FetchFailed):
                await fetcher.fetch(origin.url("/bad"), limits=at_once(fetcher))
        (await fetcher.fetch(origin.url("/good"))).release()
    assert content_of(tmp_path) == {data}


async def test_a_full_disk_is_told_as_that() -> None:
    """No room on the disk is this worker's trouble, not the client's."""
    with Path("/dev/full").open("wb", buffering=0) as full:
        partial = Partial(full, lambda size: None)
        with pytest.raises(CacheFull, match="disk of this worker is full"):
            await partial.write(b"x")
