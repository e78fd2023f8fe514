"""The same requests to an engine and to the worker in front of it have answers of the same form."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from typing import Any

import pytest

from tests.comfy_api.client import ComfyClient, shape
from tests.workflows import Workflow, slow

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def both(
    direct: ComfyClient, ann: ComfyClient, make_prompt: Callable[[], Workflow]
) -> list[tuple[list[Any], dict[str, Any]]]:
    """Run a new prompt on each, and return the frames and the entries of the history."""
    results = []
    for client in (direct, ann):
        async with client.listening(supports_preview_metadata=True) as frames:
            prompt_id = await client.submit(make_prompt(), prompt_id=str(uuid.uuid4()))
            shown = [frame for frame in await frames.of_prompt(prompt_id) if isinstance(frame, dict)]
            results.append((shown, await client.ended(prompt_id)))
    return results


async def test_frames_have_the_same_order_and_form(direct: ComfyClient, ann: ComfyClient) -> None:
    """A prompt with steps shows the same types of frames in the same order, with the same keys."""
    (theirs, entry), (ours, own_entry) = await both(direct, ann, lambda: slow(0.01, steps=3))
    assert [frame["type"] for frame in ours] == [frame["type"] for frame in theirs]
    assert [shape(frame) for frame in ours] == [shape(frame) for frame in theirs]
    assert shape(own_entry) == shape(entry)
