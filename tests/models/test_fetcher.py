"""Model files brought from a server that drops, lies and dawdles."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from pydantic import SecretStr

from tests.fetch.origin import Answer, Origin, broken, content, in_turn, opened, ranged, redirect, serving
from worker.backoff import Backoff
from worker.errors import CacheFull
from worker.models.fetcher import ModelFetcher
from worker.models.folder import OWN, ModelRecord, ModelsFolder
from worker.settings import Settings
from worker.workflow.templates.template import ModelFile

DATA = os.urandom(300_000)
OTHER = os.urandom(300_000)


def described(origin: Origin, name: str, data: bytes = DATA, folder: str = "checkpoints") -> ModelFile:
    return ModelFile(f"{name}.safetensors", folder, origin.url(f"/{name}"), len(data), hashlib.sha256(data).hexdigest())


@asynccontextmanager
async def fetching(root: Path, *origins: Origin, **given: object) -> AsyncIterator[ModelFetcher]:
    """A fetcher without pauses between its tries."""
    settings = Settings.of(fetch_allow=opened(*origins), **given)
    async with ModelFetcher(settings.fetch, ModelsFolder(root), backoff=Backoff(0, 0)) as fetcher:
        yield fetcher


def files(root: Path) -> dict[str, bytes]:
    """What ComfyUI would list."""
    found = (path for path in root.rglob("*") if path.is_file() and OWN not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in found}


def slow(data: bytes, pieces: int = 20) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        response.content_length = len(data)
        await response.prepare(request)
        step = len(data) // pieces
        for start in range(0, len(data), step):
            await response.write(data[start : start + step])
            await asyncio.sleep(0.01)
        return response

    return answer


async def test_many_at_once_from_a_bad_server(tmp_path: Path) -> None:
    """Drops, silence about ranges, a wrong file first, a slow link: every file is right, and nothing else is there."""
    names = ["plain", "resumes", "restarts", "wrong_first", "slow", "busy"]
    async with serving(
        plain=content(DATA),
        resumes=in_turn(broken(DATA, 100_000, ETag='"1"'), ranged(DATA, ETag='"1"')),
        restarts=in_turn(broken(DATA, 100_000), content(DATA)),
        wrong_first=in_turn(content(OTHER), content(DATA)),
        slow=slow(DATA),
        busy=in_turn(status(503), status(429), content(DATA)),
    ) as origin:
        wanted = [described(origin, name) for name in names]
        async with fetching(tmp_path, origin) as fetcher:
            outcomes = await fetcher.fetch_all(wanted)
    assert [outcome.error for outcome in outcomes] == [None] * len(names)
    assert files(tmp_path) == {f"checkpoints/{name}.safetensors": DATA for name in names}
    assert list((tmp_path / OWN / "partial").iterdir()) == []


def status(code: int) -> Answer:
    async def answer(request: web.Request) -> web.StreamResponse:
        return web.Response(status=code)

    return answer


@pytest.mark.parametrize(
    ("answer", "code"),
    [
        (content(OTHER), "model_mismatch"),
        (content(DATA + b"x"), "model_mismatch"),
        (content(DATA[:-1]), "model_mismatch"),
        (broken(DATA, 1000), "fetch_failed"),
        (status(401), "fetch_failed"),
        (redirect("http://127.0.0.1:1/x"), "url_refused"),
    ],
)
async def test_what_is_wrong_never_gets_its_name(tmp_path: Path, answer: Answer, code: str) -> None:
    """Another content, size or place: the error says so, other files still come, and ComfyUI sees nothing of it."""
    async with serving(bad=answer, good=content(DATA)) as origin, fetching(tmp_path, origin) as fetcher:
        outcomes = await fetcher.fetch_all([described(origin, "bad"), described(origin, "good")])
    assert [outcome.error and outcome.error.code for outcome in outcomes] == [code, None]
    assert list(files(tmp_path)) == ["checkpoints/good.safetensors"]


async def test_a_page_is_no_model(tmp_path: Path) -> None:
    """A host that answers with its login page is found out, even where neither size nor hash is known."""
    async with (
        serving(page=content(b"\n<!DOCTYPE html><title>Log in")) as origin,
        fetching(tmp_path, origin) as fetcher,
    ):
        (outcome,) = await fetcher.fetch_all([ModelFile("x.safetensors", "vae", origin.url("/page"))])
    assert outcome.error is not None
    assert files(tmp_path) == {}


async def test_the_next_process_goes_on(tmp_path: Path) -> None:
    """What came before a cancellation is not asked for again: the rest is, if the server proves that it is the same."""
    asked: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        asked.append(request.headers.get("Range"))
        if len(asked) > 1:
            return await ranged(DATA, ETag='"1"')(request)
        response = web.StreamResponse(headers={"ETag": '"1"'})
        response.content_length = len(DATA)
        await response.prepare(request)
        await response.write(DATA[:200_000])
        await asyncio.sleep(30)
        return response

    async with serving(big=answer) as origin:
        wanted = described(origin, "big")
        half = asyncio.Event()
        async with fetching(tmp_path, origin) as fetcher:
            task = asyncio.create_task(fetcher.fetch(wanted, lambda _, size: half.set() if size == 200_000 else None))
            await asyncio.wait_for(half.wait(), 5)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert files(tmp_path) == {}
        async with fetching(tmp_path, origin) as fetcher:
            await fetcher.fetch(wanted)
    assert asked == [None, "bytes=200000-"]
    assert files(tmp_path) == {"checkpoints/big.safetensors": DATA}


async def test_two_who_want_the_same_fetch_it_once(tmp_path: Path) -> None:
    """The second waits for the first, also where that is another process with a lock of its own."""
    async with (
        serving(one=slow(DATA)) as origin,
        fetching(tmp_path, origin) as first,
        fetching(tmp_path, origin) as second,
    ):
        wanted = described(origin, "one")
        await asyncio.gather(first.fetch(wanted), second.fetch(wanted), first.fetch(wanted))
        await first.fetch(wanted)
        assert len(origin.requests) == 1
    assert files(tmp_path) == {"checkpoints/one.safetensors": DATA}


async def test_the_operators_token_goes_to_its_host_only(tmp_path: Path) -> None:
    """A gated host gets the credentials of its pattern; the storage that it redirects to does not."""
    async with serving(store=content(DATA)) as storage, serving(gated=redirect(storage.url("/store"))) as hub:
        auth = f'{{"{hub.host}:{hub.port}": "Bearer secret"}}'
        async with fetching(tmp_path, hub, storage, fetch_auth=SecretStr(auth)) as fetcher:
            await fetcher.fetch(described(hub, "gated"))
        assert hub.requests[0].headers["Authorization"] == "Bearer secret"
        assert "Authorization" not in storage.requests[0].headers


async def test_the_longest_unused_make_room(tmp_path: Path) -> None:
    """Of files that were brought here, unchanged and not needed now; a used one stays longer."""
    (tmp_path / "vae").mkdir(parents=True)
    (tmp_path / "vae" / "mine.safetensors").write_bytes(DATA)
    async with serving(**{"*": content(DATA)}) as origin:
        needed = {"a.safetensors"}
        folder = ModelsFolder(tmp_path, 3 * len(DATA) + 10, lambda record: record.file in needed)
        settings = Settings.of(fetch_allow=opened(origin))
        async with ModelFetcher(settings.fetch, folder) as fetcher:
            for name in "abc":
                await fetcher.fetch(described(origin, name))
            use(tmp_path, folder, "b", "c", "a")
            await fetcher.fetch(described(origin, "d"))
            assert set(files(tmp_path)) == {*named("a", "c", "d"), "vae/mine.safetensors"}
            use(tmp_path, folder, "a", "d", "c")
            await fetcher.fetch(described(origin, "e"))
            assert set(files(tmp_path)) == {*named("a", "c", "e"), "vae/mine.safetensors"}
            needed |= {"c.safetensors", "e.safetensors"}
            with pytest.raises(CacheFull):
                await fetcher.fetch(described(origin, "f"))
            (tmp_path / "checkpoints" / "c.safetensors").write_bytes(b"somebody's own")
            await fetcher.fetch(described(origin, "f"))
            assert (tmp_path / "checkpoints" / "c.safetensors").read_bytes() == b"somebody's own"


def named(*names: str) -> list[str]:
    return [f"checkpoints/{name}.safetensors" for name in names]


def use(root: Path, folder: ModelsFolder, *names: str) -> None:
    """As if each were used a minute after the one before."""
    records = {record.file: record for record in folder.fetched()}
    for minute, name in enumerate(names):
        record: ModelRecord = records[f"{name}.safetensors"]
        folder.touch(record)
        os.utime(root / OWN / "records" / f"{record.key}.json", (minute * 60, minute * 60))


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a/../../x", "C:\\x", "~x", "", "a\0b"])
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, file: str) -> None:
    """A template's slip, or somebody's malice, writes nothing outside."""
    async with serving(**{"*": content(DATA)}) as origin, fetching(tmp_path / "models", origin) as fetcher:
        for folder, name in (("vae", file), (f"../{file}", "x"), (OWN, "x")):
            (outcome,) = await fetcher.fetch_all([ModelFile(name, folder, origin.url())])
            assert outcome.error is not None
        assert origin.requests == []
    assert files(tmp_path) == {}


async def test_a_file_larger_than_the_disk_is_not_begun(tmp_path: Path) -> None:
    """The announced size is held against what is free before a byte is written."""
    async with serving(huge=content(DATA)) as origin, fetching(tmp_path, origin) as fetcher:
        with pytest.raises(CacheFull):
            await fetcher.fetch(ModelFile("huge", "vae", origin.url("/huge"), size=10**18))
        assert origin.requests == []
