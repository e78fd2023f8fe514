"""Tests of repeated requests with one id."""

from __future__ import annotations

import asyncio
import io
from pathlib import Path

import orjson
import pytest
import pytest_asyncio
from PIL import Image

from tests.conftest import Client, shared_client
from tests.engines import EngineHandle, start_engine
from tests.state.releases import LAST, life, release, this_release
from tests.workflows import picture

client = shared_client
Part = tuple[str, str | None, bytes]
"""Name, filename and content."""


def png(color: str, comment: bytes = b"") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (8, 8), color).save(buffer, "PNG")
    return buffer.getvalue() + comment


RED, GREEN, BLUE = (png(color) for color in ("red", "green", "blue"))
FIRST: list[Part] = [("a.png", "a.png", RED), ("b.png", "b.png", GREEN), ("other", "c.png", BLUE)]
CHANGED: dict[str, list[Part]] = {
    "contents swapped": [("a.png", "a.png", GREEN), ("b.png", "b.png", RED), FIRST[2]],
    "names swapped": [("b.png", "b.png", RED), ("a.png", "a.png", GREEN), FIRST[2]],
    "order": [FIRST[1], FIRST[0], FIRST[2]],
    "one byte": [("a.png", "a.png", RED + b"\0"), *FIRST[1:]],
    "split": [("a.png", "a.png", RED + GREEN[:20]), ("b.png", "b.png", GREEN[20:]), FIRST[2]],
    "one part less": FIRST[:2],
    "one part more": [*FIRST, ("d.png", "d.png", RED)],
    "a name": [*FIRST[:2], ("another", "c.png", BLUE)],
    "a filename": [*FIRST[:2], ("other", "d.png", BLUE)],
    "no filename": [*FIRST[:2], ("other", None, BLUE)],
}


def form(key: str, parts: list[Part], workflow: dict | None = None) -> dict[str, object]:
    """Return the body and the headers of a form."""
    if workflow is None:
        workflow = picture(color=3) | {"1": {"class_type": "LoadImage", "inputs": {"image": "a.png"}}}
    body = b""
    request: Part = ("request", None, orjson.dumps({"workflow": workflow, "id": key}))
    for name, filename, content in (request, *parts):
        more = f'; filename="{filename}"' if filename else ""
        head = f'--b\r\nContent-Disposition: form-data; name="{name}"{more}\r\n\r\n'
        body += head.encode() + content + b"\r\n"
    return {"data": body + b"--b--\r\n", "headers": {"Content-Type": "multipart/form-data; boundary=b"}}


async def send(client: Client, given: dict) -> tuple[int, dict]:
    async with client.http.post(f"{client.app.url}/generate/sync", **given) as answer:
        return answer.status, await answer.json()


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("name", CHANGED)
async def test_a_changed_part_is_409(client: Client, name: str) -> None:
    """A form with a changed name, filename, order, division or byte of a part returns 409."""
    key = name.replace(" ", "-")
    first = await send(client, form(key, FIRST))
    assert first[0] == 200, first
    status, body = await send(client, form(key, CHANGED[name]))
    assert (status, body["error"]["code"]) in {(409, "id_taken"), (400, "invalid_input_file")}, body
    assert await send(client, form(key, FIRST)) == first


@pytest.mark.asyncio(loop_scope="module")
async def test_a_changed_text_is_409(client: Client) -> None:
    """A request with a changed text returns 409, also for long texts and in a form."""
    long = picture(color=4) | {"9": {"class_type": "PreviewAny", "inputs": {"source": "x" * 100_000}}}
    other = picture(color=4) | {"9": {"class_type": "PreviewAny", "inputs": {"source": "x" * 99_999 + "y"}}}
    parts = [("a.png", "a.png", RED)]
    assert (await send(client, form("long", parts, long)))[0] == 200
    assert (await send(client, form("long", parts, other)))[0] == 409
    assert (await send(client, form("long", parts, long)))[0] == 200


@pytest_asyncio.fixture
async def engine_alone(tmp_path: Path):  # noqa: ANN201
    with start_engine(tmp_path / "engine") as handle:
        yield handle


@pytest.mark.releases
@pytest.mark.timeout(420)
@pytest.mark.parametrize("name", [LAST, "b2bf08c"])
async def test_a_form_finds_its_job_after_an_update(engine_alone: EngineHandle, tmp_path: Path, name: str) -> None:
    """A form finds its job that an earlier release stored, and changed bytes return 409."""
    former, state = await asyncio.to_thread(release, name, tmp_path / "former"), tmp_path / "state"
    parts: list[Part] = [("a.png", "photo.png", RED), ("b.png", None, GREEN)]
    async with life(former, state, engine_alone.url) as worker:
        status, before = await worker.post("/generate/sync", **form("f", parts))
        assert status == 200, before
        await worker.kill()
    async with life(this_release(), state, engine_alone.url) as worker:
        assert await worker.post("/generate/sync", **form("f", parts)) == (200, before)
        changed = [parts[0], ("b.png", None, BLUE)]
        assert (await worker.post("/generate/sync", **form("f", changed)))[0] == 409
