"""Downloads of model files from unreliable servers."""

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
from worker.models.folder import WORKER_FOLDER, ModelRecord, ModelsFolder
from worker.settings import Settings
from worker.workflow.templates.template import ModelFile

DATA = os.urandom(300_000)
OTHER = os.urandom(300_000)


def described(origin: Origin, name: str, data: bytes = DATA, folder: str = "checkpoints") -> ModelFile:
    return ModelFile(f"{name}.safetensors", folder, origin.url(f"/{name}"), len(data), hashlib.sha256(data).hexdigest())


@asynccontextmanager
async def fetching(root: Path, *origins: Origin, **more_settings: object) -> AsyncIterator[ModelFetcher]:
    """Yield a fetcher without pauses between retries."""
    settings = Settings.of(fetch_allow=opened(*origins), **more_settings)
    async with ModelFetcher(settings.fetch, ModelsFolder(root), backoff=Backoff(0, 0)) as fetcher:
        yield fetcher


def files(root: Path) -> dict[str, bytes]:
    """Return the files that ComfyUI would list."""
    paths = (path for path in root.rglob("*") if path.is_file() and WORKER_FOLDER not in path.parts)
    return {str(path.relative_to(root)): path.read_bytes() for path in paths}


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


async def test_many_files_from_an_unreliable_server(tmp_path: Path) -> None:
    """fetch_all gets every file right despite interruptions, missing ranges, a wrong file and a slow connection."""
    names = ["plain", "resumes", "restarts", "wrong_first", "slow", "busy"]
    async with serving(
        plain=content(DATA),
        resumes=in_turn(broken(DATA, 100_000, ETag='"1"'), ranged(DATA, ETag='"1"')),
        restarts=in_turn(broken(DATA, 100_000), content(DATA)),
        wrong_first=in_turn(content(OTHER), content(DATA)),
        slow=slow(DATA),
        busy=in_turn(status(503), status(429), content(DATA)),
    ) as origin:
        model = [described(origin, name) for name in names]
        async with fetching(tmp_path, origin) as fetcher:
            outcomes = await fetcher.fetch_all(model)
    assert [outcome.error for outcome in outcomes] == [None] * len(names)
    assert files(tmp_path) == {f"checkpoints/{name}.safetensors": DATA for name in names}
    assert list((tmp_path / WORKER_FOLDER / "partial").iterdir()) == []


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
async def test_a_wrong_file_is_not_put_into_place(tmp_path: Path, answer: Answer, code: str) -> None:
    """fetch_all reports wrong content, size or place, fetches the other files, and leaves nothing for ComfyUI."""
    async with serving(bad=answer, good=content(DATA)) as origin, fetching(tmp_path, origin) as fetcher:
        outcomes = await fetcher.fetch_all([described(origin, "bad"), described(origin, "good")])
    assert [outcome.error and outcome.error.code for outcome in outcomes] == [code, None]
    assert list(files(tmp_path)) == ["checkpoints/good.safetensors"]


async def test_a_page_is_not_a_model(tmp_path: Path) -> None:
    """fetch raises ModelMismatch for an HTML page, even without size and hash."""
    async with (
        serving(page=content(b"\n<!DOCTYPE html><title>Log in")) as origin,
        fetching(tmp_path, origin) as fetcher,
    ):
        (outcome,) = await fetcher.fetch_all([ModelFile("x.safetensors", "vae", origin.url("/page"))])
    assert outcome.error is not None
    assert files(tmp_path) == {}


async def test_the_next_process_resumes(tmp_path: Path) -> None:
    """fetch resumes a cancelled download if the server proves that the file is the same."""
    ranges: list[str | None] = []

    async def answer(request: web.Request) -> web.StreamResponse:
        ranges.append(request.headers.get("Range"))
        if len(ranges) > 1:
            return await ranged(DATA, ETag='"1"')(request)
        response = web.StreamResponse(headers={"ETag": '"1"'})
        response.content_length = len(DATA)
        await response.prepare(request)
        await response.write(DATA[:200_000])
        await asyncio.sleep(30)
        return response

    async with serving(big=answer) as origin:
        model = described(origin, "big")
        half = asyncio.Event()
        async with fetching(tmp_path, origin) as fetcher:
            task = asyncio.create_task(fetcher.fetch(model, lambda _, size: half.set() if size == 200_000 else None))
            await asyncio.wait_for(half.wait(), 60)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert files(tmp_path) == {}
        async with fetching(tmp_path, origin) as fetcher:
            await fetcher.fetch(model)
    assert ranges == [None, "bytes=200000-"]
    assert files(tmp_path) == {"checkpoints/big.safetensors": DATA}


async def test_two_fetchers_download_a_file_once(tmp_path: Path) -> None:
    """A second fetcher waits for the first, also in another process."""
    async with (
        serving(one=slow(DATA)) as origin,
        fetching(tmp_path, origin) as first,
        fetching(tmp_path, origin) as second,
    ):
        model = described(origin, "one")
        await asyncio.gather(first.fetch(model), second.fetch(model), first.fetch(model))
        await first.fetch(model)
        assert len(origin.requests) == 1
    assert files(tmp_path) == {"checkpoints/one.safetensors": DATA}


async def test_the_token_is_sent_to_its_host_only(tmp_path: Path) -> None:
    """Credentials are sent to their host, and not to the storage that it redirects to."""
    async with serving(store=content(DATA)) as storage, serving(gated=redirect(storage.url("/store"))) as hub:
        auth = f'{{"{hub.host}:{hub.port}": "Bearer secret"}}'
        async with fetching(tmp_path, hub, storage, fetch_auth=SecretStr(auth)) as fetcher:
            await fetcher.fetch(described(hub, "gated"))
        assert hub.requests[0].headers["Authorization"] == "Bearer secret"
        assert "Authorization" not in storage.requests[0].headers


async def test_the_least_recently_used_models_are_evicted(tmp_path: Path) -> None:
    """fetch evicts fetched, unchanged and unneeded files, least recently used first."""
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
    """Mark each of these files as used, a minute after the one before."""
    records = {record.file: record for record in folder.fetched_records()}
    for minute, name in enumerate(names):
        record: ModelRecord = records[f"{name}.safetensors"]
        folder.record_use(record)
        os.utime(root / WORKER_FOLDER / "records" / f"{record.key}.json", (minute * 60, minute * 60))


@pytest.mark.parametrize("file", ["../x", "/etc/passwd", "a/../../x", "C:\\x", "~x", "", "a\0b"])
async def test_no_name_leads_out_of_the_folder(tmp_path: Path, file: str) -> None:
    """fetch refuses a name in a template that leads out of the folder."""
    async with serving(**{"*": content(DATA)}) as origin, fetching(tmp_path / "models", origin) as fetcher:
        for folder, name in (("vae", file), (f"../{file}", "x"), (WORKER_FOLDER, "x")):
            (outcome,) = await fetcher.fetch_all([ModelFile(name, folder, origin.url())])
            assert outcome.error is not None
        assert origin.requests == []
    assert files(tmp_path) == {}


async def test_a_file_larger_than_the_disk_is_not_begun(tmp_path: Path) -> None:
    """fetch raises CacheFull for an announced size above the free space."""
    async with serving(huge=content(DATA)) as origin, fetching(tmp_path, origin) as fetcher:
        with pytest.raises(CacheFull):
            await fetcher.fetch(ModelFile("huge", "vae", origin.url("/huge"), size=10**18))
        assert origin.requests == []
