"""A node may report any JSON: the client of its prompt gets all frames, and the history."""

from __future__ import annotations

import pytest

from tests.comfy_api.client import ComfyClient
from tests.outputs.test_odd_reports import REPORTS
from tests.outputs.test_results import node, with_image

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("reported", REPORTS.values(), ids=REPORTS)
async def test_an_odd_report_hides_no_frame(ann: ComfyClient, reported: str) -> None:
    """The prompt ends with success, and the file of another node can be viewed."""
    odd, saver = node("EmbeddedReport", json=reported), node("SaveImage", images=["1", 0], filename_prefix="good")
    async with ann.listening() as frames:
        prompt_id = await ann.submit(with_image(odd, saver))
        shown = await frames.of_prompt(prompt_id)
    assert [frame["type"] for frame in shown][-2:] == ["execution_success", "executing"]
    entry = await ann.ended(prompt_id)
    assert entry["status"]["completed"] is True
    [image] = entry["outputs"]["6"]["images"]
    assert (await ann.get("/view", **image))[0] == 200
