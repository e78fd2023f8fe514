"""Requests that wait for the end of a prompt, and the headers of the files that it wrote."""

from __future__ import annotations

import io
import os
from typing import Any

import pytest
from PIL import Image

from tests.comfy_api.client import ComfyClient
from tests.conftest import bearer
from tests.workflows import Workflow, failing, picture, slow
from worker.api.responses import LARGEST_ON_LOOP

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def post_waiting(client: ComfyClient, prompt: Workflow, prefer: str) -> dict[str, Any]:
    """Post a prompt with this header `Prefer`, and return the response."""
    body, headers = {"prompt": prompt}, {**bearer(client.token), "Prefer": prefer}
    async with client.http.post(f"{client.url}/prompt", json=body, headers=headers) as answer:
        assert answer.status == 200, await answer.text()
        return await answer.json()


@pytest.mark.parametrize("make_prompt", [picture, failing])
async def test_the_response_has_the_history_of_a_prompt_that_was_waited_for(ann: ComfyClient, make_prompt: Any) -> None:
    """The entry is the one that /history has, also for a prompt that fails."""
    answer = await post_waiting(ann, make_prompt(), "respond-async, wait=60")
    _, history = await ann.get(f"/history/{answer['prompt_id']}")
    assert answer["history"] == history
    assert list(history) == [answer["prompt_id"]]


async def test_a_wait_ends_before_the_prompt(ann: ComfyClient) -> None:
    """A prompt that runs for longer is returned without an entry, and goes on."""
    answer = await post_waiting(ann, slow(1.5), "wait=0")
    assert "history" not in answer
    assert (await ann.ended(answer["prompt_id"]))["status"]["completed"]


async def test_a_client_that_does_not_prefer_to_wait_is_answered_at_once(ann: ComfyClient) -> None:
    """`wait` is an option of the header: other options do not start a wait."""
    assert "history" not in await post_waiting(ann, picture(), "handling=strict, awaits=60")


def noise(side: int) -> bytes:
    """Return an image that cannot be compressed."""
    data = io.BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(data, format="PNG")
    return data.getvalue()


async def test_a_small_file_has_the_headers_of_a_large_one(ann: ComfyClient) -> None:
    """A client can ask for a part, and for a file that has changed, whatever the size."""
    answers = {}
    for kind, side in {"small": 16, "large": 256}.items():
        _, query = await ann.upload(noise(side), f"{kind}.png")
        query["filename"] = query.pop("name")
        async with ann.http.get(f"{ann.url}/view", params=query, headers=bearer(ann.token)) as answer:
            content, answers[kind] = await answer.read(), answer
        assert (len(content) > LARGEST_ON_LOOP) is (kind == "large")
        part = {**bearer(ann.token), "Range": "bytes=1-3"}
        async with ann.http.get(f"{ann.url}/view", params=query, headers=part) as answer:
            assert (answer.status, await answer.read()) == (206, content[1:4])
        unchanged = {**bearer(ann.token), "If-None-Match": answers[kind].headers["ETag"]}
        async with ann.http.get(f"{ann.url}/view", params=query, headers=unchanged) as answer:
            assert answer.status == 304
    assert set(answers["small"].headers) == set(answers["large"].headers)
    assert answers["small"].headers["Content-Type"] == answers["large"].headers["Content-Type"] == "image/png"
