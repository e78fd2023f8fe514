"""Tests of state folders that different releases read and write in turn."""

from __future__ import annotations

import asyncio
import base64
import io
from pathlib import Path

import orjson
import pytest
from PIL import Image

from tests.cli.terminal import cli
from tests.engines import EngineHandle, start_engine
from tests.state.releases import LAST, Life, Release, life, release, this_release
from tests.workflows import picture, slow

pytestmark = [pytest.mark.releases, pytest.mark.timeout(420)]

FIRST = "b2bf08c"


def png() -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (20, 10), "green").save(buffer, "PNG")
    return buffer.getvalue()


def loads(name: str = "in.png") -> dict:
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": name}}
    return workflow


def fails() -> dict:
    workflow = picture(color=7)
    workflow["3"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0], "message": "asked to"}}
    workflow["2"]["inputs"]["images"] = ["3", 0]
    return workflow


LONG = "x" * 100_000
"""A text that is not kept in memory while it is read."""
COMPLETED = {
    "plain": {"workflow": picture(color=1), "id": "plain"},
    "url": {"workflow": picture(color=2), "id": "url", "output_format": "url"},
    "inputs": {"workflow": loads(), "id": "inputs", "inputs": {"in.png": base64.b64encode(png()).decode()}},
    "template": {"template": "smoke-resize", "params": {"width": 32}, "id": "template"},
    "webp": {"workflow": picture(color=3), "id": "webp", "output": {"format": "webp"}},
    "long": {"workflow": picture(color=4) | {"9": {"class_type": "PreviewAny", "inputs": {"source": LONG}}}, "id": "l"},
    "failed": {"workflow": fails(), "id": "failed"},
}
FORM = {"request": orjson.dumps({"workflow": loads("a.png"), "id": "form"}).decode()}


def form() -> dict[str, object]:
    import aiohttp

    data = aiohttp.FormData(FORM)
    data.add_field("a.png", png(), filename="a.png")
    return {"data": data}


async def fill(worker: Life) -> tuple[dict[str, tuple[int, dict]], dict[str, dict]]:
    """Create jobs in every state, and return the responses of ended jobs and the ids of the others."""
    ended = {name: await worker.post("/generate/sync", body) for name, body in COMPLETED.items()}
    ended["form"] = await worker.post("/generate/sync", **form())
    open_jobs = {}
    for name, body in {
        "running": {"workflow": slow(2, steps=4)},
        "waiting": {"workflow": loads(), "inputs": {"in.png": base64.b64encode(png()).decode()}},
        "hooked": {"workflow": picture(color=5), "webhook": {"url": "http://127.0.0.1:9/hook"}},
        "cancelled": {"workflow": picture(color=6)},
    }.items():
        open_jobs[name] = (await worker.post("/generate", {**body, "id": name}))[1]
    headers = {"Authorization": f"Bearer {open_jobs['cancelled']['token']}"}
    async with worker.http.delete(f"{worker.url}/jobs/cancelled", headers=headers):
        pass
    return ended, open_jobs


async def check(worker: Life, ended: dict[str, tuple[int, dict]], open_jobs: dict[str, dict]) -> None:
    """Assert that repeated requests find their jobs, unfinished jobs end and no row is set aside."""
    for name, body in COMPLETED.items():
        status, answer = await worker.post("/generate/sync", body)
        assert (status, answer["id"]) == (ended[name][0], ended[name][1]["id"]), (name, answer)
        if status == 200:
            assert hashes(answer) == hashes(ended[name][1]), name
    assert (await worker.post("/generate/sync", **form()))[1]["id"] == "form"
    assert (await worker.post("/generate/sync", {"workflow": picture(), "id": "plain"}))[0] == 409
    for name in ("running", "waiting", "hooked"):
        status, answer = await worker.ended(open_jobs[name])
        assert status == 200, (name, answer)
    assert (await worker.get("/jobs/cancelled", open_jobs["cancelled"]["token"]))[0] == 499
    assert "jobs_set_aside" not in (await worker.get("/health"))[1]


def hashes(answer: dict) -> list[str]:
    return [output["sha256"] for output in answer["outputs"] if output.get("sha256")]


def others(state: Path) -> None:
    """Return the files of the state folder that do not belong to one job."""
    crash = {"crashes": {"p": True}, "at": 1e10}
    (state / "suspects.json").write_bytes(orjson.dumps({"0" * 64: crash}))
    (state / "benchmark.json").write_bytes(orjson.dumps({"key": "k", "score": 2.5}))
    partial = state / "fetched" / "partial"
    partial.mkdir(parents=True, exist_ok=True)
    (partial / "half").write_bytes(b"half of a file")


@pytest.fixture(scope="module")
def last(tmp_path_factory: pytest.TempPathFactory) -> Release:
    return release(LAST, tmp_path_factory.mktemp("last"))


async def there_and_back(engine: EngineHandle, state: Path, lives: list[Release]) -> None:
    """Run the releases in turn, each with the state of the one before."""
    known: list[tuple[dict, dict]] = []
    for number, code in enumerate(lives):
        async with life(code, state, engine.url) as worker:
            if known:
                await check(worker, *known[-1])
            known.append(await fill(worker) if not known else known[0])
            body = {"workflow": slow(2, steps=4), "id": f"running-{number}"}
            known[0][1]["running"] = (await worker.post("/generate", body))[1]
            await worker.kill()
        if number == 0:
            others(state)


async def test_the_last_release_and_this_one_read_each_others_state(
    engine: EngineHandle, last: Release, tmp_path: Path
) -> None:
    """The last release and this one read each other's state folder."""
    await there_and_back(engine, tmp_path / "a", [last, this_release(), last])
    await there_and_back(engine, tmp_path / "b", [this_release(), last, this_release()])


async def test_the_way_back_to_a_worker_of_before_v020(engine: EngineHandle, tmp_path: Path) -> None:
    """This release reads the state of b2bf08c, and b2bf08c reads it after `journal downgrade`."""
    first, state = release(FIRST, tmp_path / "first"), tmp_path / "state"
    async with life(first, state, engine.url) as worker:
        ended, open_jobs = await fill(worker)
        await worker.kill()
    async with life(this_release(), state, engine.url) as worker:
        await check(worker, ended, open_jobs)
        extra = {"extra_pnginfo": {"workflow": {"nodes": [], "links": []}}}
        later = (await worker.post("/generate", {"workflow": slow(2, steps=4), "id": "later", "extra_data": extra}))[1]
        await worker.kill()
    done = await asyncio.to_thread(cli, "journal", "downgrade", "--state", state, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    async with life(first, state, engine.url) as worker:
        for name in ("plain", "url", "webp"):
            status, answer = await worker.post("/generate/sync", COMPLETED[name])
            assert (status, hashes(answer)) == (200, hashes(ended[name][1])), answer
        assert (await worker.ended(later))[0] == 200


@pytest.fixture
def engine(tmp_path: Path):  # noqa: ANN201
    """An engine that outlives the workers."""
    with start_engine(tmp_path / "engine") as handle:
        yield handle
