"""Downloads from servers that interrupt, delay, lie or compress."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest
from aiohttp import web

from tests.fetch.origin import (
    Answer,
    Origin,
    at_once,
    broken,
    content,
    fetching,
    in_turn,
    opened,
    ranged,
    redirect,
    serving,
)
from worker.errors import FetchFailed, InputTooLarge, UrlRefused, WorkerError

FILE = bytes(range(256)) * 512
MIB = 1024 * 1024


async def fetched(folder: Path, origin: Origin, path: str = "/file", **given: object) -> bytes:
    async with fetching(folder, fetch_allow=opened(origin), **given) as fetcher:
        with await fetcher.fetch(origin.url(path), limits=at_once(fetcher)) as held:
            return held.path.read_bytes()


async def failure(folder: Path, origin: Origin, path: str = "/file", **given: object) -> WorkerError:
    """Return the error of a fetch, after a check that no file is left on disk."""
    with pytest.raises(WorkerError) as failed:
        await fetched(folder, origin, path, **given)
    assert [path for path in (folder / "fetched").rglob("*") if path.is_file()] == []
    return failed.value


async def test_an_interrupted_download_is_resumed(tmp_path: Path) -> None:
    """After an interruption only the missing part is requested if the server sends an `ETag`."""
    answer = in_turn(broken(FILE, 1000, ETag='"a"'), ranged(FILE, ETag='"a"'))
    async with serving(file=answer) as origin:
        assert await fetched(tmp_path, origin) == FILE
    first, second = origin.requests
    assert "Range" not in first.headers
    assert (second.headers["Range"], second.headers["If-Range"]) == ("bytes=1000-", '"a"')


async def test_progress_resets_the_count_of_failures(tmp_path: Path) -> None:
    """A download that makes progress each time is continued beyond the limit of failures."""
    parts = [ranged_but_broken(FILE, at) for at in range(10_000, 70_000, 10_000)]
    async with serving(file=in_turn(broken(FILE, 5000, ETag='"a"'), *parts, ranged(FILE, ETag='"a"'))) as origin:
        assert await fetched(tmp_path, origin) == FILE
    assert len(origin.requests) == 8


@pytest.mark.parametrize("headers", [{}, {"ETag": 'W/"a"'}], ids=["no tag", "weak tag"])
async def test_without_a_version_it_starts_again(tmp_path: Path, headers: dict[str, str]) -> None:
    """Without an `ETag` or a date the download starts from the beginning."""
    answer = in_turn(broken(b"x" * len(FILE), 1000, **headers), content(FILE, **headers))
    async with serving(file=answer) as origin:
        assert await fetched(tmp_path, origin) == FILE
    assert "Range" not in origin.requests[1].headers


async def test_a_changed_file_starts_again(tmp_path: Path) -> None:
    """A complete response to a range request replaces the downloaded part."""
    answer = in_turn(broken(b"old" * len(FILE), 1000, ETag='"a"'), content(FILE, ETag='"b"'))
    async with serving(file=answer) as origin:
        assert await fetched(tmp_path, origin) == FILE


@pytest.mark.parametrize("span", ["bytes 0-9/10", "bytes 999-1999/2000", "bytes */2000", "nonsense", ""])
async def test_another_part_is_not_appended(tmp_path: Path, span: str) -> None:
    """A 206 with another range, or none, is discarded, and the complete file is requested."""

    async def wrong(request: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=b"wrong", headers={"Content-Range": span})

    async with serving(file=in_turn(broken(FILE, 1000, ETag='"a"'), wrong, content(FILE, ETag='"a"'))) as origin:
        assert await fetched(tmp_path, origin) == FILE
    assert ["Range" in request.headers for request in origin.requests] == [False, True, False]


async def test_an_unrequested_part_is_refused(tmp_path: Path) -> None:
    """A 206 to a request without `Range` is an error."""

    async def partial(request: web.Request) -> web.StreamResponse:
        return web.Response(status=206, body=FILE[:10], headers={"Content-Range": f"bytes 0-9/{len(FILE)}"})

    async with serving(file=partial) as origin:
        assert "returned 206" in (await failure(tmp_path, origin)).message


async def test_a_server_that_always_interrupts(tmp_path: Path) -> None:
    """After four attempts without progress fetch raises FetchFailed, and no file is left."""
    async with serving(file=broken(FILE, 1000)) as origin:
        error = await failure(tmp_path, origin)
    assert isinstance(error, FetchFailed)
    assert "connection was lost" in error.message
    assert len(origin.requests) == 4


async def test_temporary_errors_are_retried(tmp_path: Path) -> None:
    """503 and 429 are retried."""
    async with serving(file=in_turn(status(503), status(429), content(FILE))) as origin:
        assert await fetched(tmp_path, origin) == FILE


@pytest.mark.parametrize(
    ("code", "cure"), [(404, "check the URL"), (403, "WORKER_FETCH_AUTH"), (400, "from elsewhere")]
)
async def test_final_errors_are_not_retried(tmp_path: Path, code: int, cure: str) -> None:
    """A final status is requested once, and the error contains it and a suggestion."""
    async with serving(file=status(code)) as origin:
        error = await failure(tmp_path, origin)
    assert f"returned {code}" in error.message
    assert cure in str(error.details[0].suggestion)
    assert len(origin.requests) == 1


async def test_a_server_that_sends_no_data_fails(tmp_path: Path) -> None:
    """fetch raises FetchFailed if no byte arrives for the idle limit, also inside a body."""
    async with serving(file=stalling(FILE, 100)) as origin:
        error = await failure(tmp_path, origin, fetch_idle_s=0.05)
    assert "sent no data" in error.message


async def test_a_slow_server_fails(tmp_path: Path) -> None:
    """fetch raises FetchFailed if the download exceeds the total limit."""
    async with serving(file=dripping()) as origin:
        error = await failure(tmp_path, origin, fetch_timeout_s=0.3)
    assert "longer than 0.3 s" in error.message


async def test_a_file_above_the_limit_is_not_begun(tmp_path: Path) -> None:
    """fetch raises InputTooLarge by the announced length."""
    async with serving(file=announcing(3 * MIB)) as origin:
        error = await failure(tmp_path, origin, fetch_max=2)
    assert isinstance(error, InputTooLarge)
    assert "WORKER_FETCH_MAX_MIB" in str(error.details[0].suggestion)


async def test_a_file_that_grows_above_the_limit_fails(tmp_path: Path) -> None:
    """fetch raises InputTooLarge for an endless body without a length."""
    async with serving(file=endless()) as origin:
        assert isinstance(await failure(tmp_path, origin, fetch_max=2), InputTooLarge)


@pytest.mark.parametrize("packing", ["gzip", "deflate", "br", "zstd", "GZIP", "gzip, identity"])
async def test_compressed_responses_are_refused(tmp_path: Path, packing: str) -> None:
    """fetch requests no compression, and refuses a compressed body without decompressing it."""
    bomb = gzip.compress(b"\0" * 8 * MIB)
    async with serving(file=content(bomb, Content_Encoding=packing)) as origin:
        assert isinstance(await failure(tmp_path, origin, fetch_max=1), UrlRefused)
    assert origin.requests[0].headers["Accept-Encoding"] == "identity"


async def test_redirects_are_followed_and_counted(tmp_path: Path) -> None:
    """Five redirects are followed, in every form of `Location`, and a sixth is refused."""
    async with serving(b=redirect("c?x", 301), c=redirect("/d/e", 303), **{"f": content(FILE)}) as origin:
        origin.answers["/d/e"] = redirect("../d/f", 307)
        origin.answers["/d/f"] = redirect(origin.url("/f"), 308)
        origin.answers["/a"] = redirect(f"//{origin.host}:{origin.port}/b")
        assert await fetched(tmp_path, origin, "/a") == FILE
        assert origin.paths == ["/a", "/b", "/c", "/d/e", "/d/f", "/f"]
        origin.answers["/0"] = redirect("/a")
        assert isinstance(await failure(tmp_path / "other", origin, "/0"), UrlRefused)


async def test_a_server_without_http(tmp_path: Path) -> None:
    """The error for another protocol names HTTP."""

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"-ERR unknown command\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(greet, "127.0.0.1", 0) as server:
        origin = Origin("127.0.0.1", server.sockets[0].getsockname()[1])
        assert "HTTP" in (await failure(tmp_path, origin)).message


def ranged_but_broken(data: bytes, at: int) -> Answer:
    """Return a handler that supports `Range`, and closes the connection before the last byte."""

    async def answer(request: web.Request) -> web.StreamResponse:
        start = request.http_range.start
        span = {"Content-Range": f"bytes {start}-{len(data) - 1}/{len(data)}", "ETag": '"a"'}
        response = web.StreamResponse(status=206, headers=span)
        response.content_length = len(data) - start
        await response.prepare(request)
        await response.write(data[start:at])
        assert request.transport is not None
        request.transport.close()
        return response

    return answer


def status(code: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code)

    return answer


def stalling(data: bytes, at: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        await response.write(data[:at])
        await asyncio.Event().wait()
        return response

    return answer


def dripping() -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b".")
            await asyncio.sleep(0.01)

    return answer


def announcing(size: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = size
        await response.prepare(request)
        await asyncio.Event().wait()
        return response

    return answer


def endless() -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        while True:
            await response.write(b"\0" * 65536)

    return answer
