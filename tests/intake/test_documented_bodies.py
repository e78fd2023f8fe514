"""The bodies of other clients in docs/http.md."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest

from tests.conftest import Client, shared_client

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

PAGE = (Path(__file__).parents[2] / "docs" / "http.md").read_text("utf-8")
SECTION = PAGE.partition("## Bodies of other clients\n")[2].partition("\n## ")[0]
BODIES = re.findall(r"```json\n(.*?)```", SECTION, re.DOTALL)


@pytest.mark.parametrize("number", range(5))
async def test_every_documented_body_runs(client: Client, number: int) -> None:
    """Each documented body gives the image of its save node, and is valid."""
    body = orjson.loads(BODIES[number])
    assert len(BODIES) == 5
    status, answer = await client.post("/generate/sync", body)
    assert status == 200, answer
    names = [output["filename"] for output in answer.get("outputs", answer.get("images"))]
    assert [name.partition("_")[0] for name in names] == [["api", "editor", "prompt", "text", "runpod"][number]]
    status, report = await client.post("/validate", body)
    assert (status, report["valid"]) == (200, True), report
