"""A file belongs to its job only while it is the file that the job wrote, because names are reused."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.engine.supervised import Supervised, supervised
from tests.outputs.test_results import emptied, node, report, run, with_image
from worker.workflow.rerun import node_digest, rerun_nodes


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def client(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Supervised]:
    """Yield a client of a worker with its own engine, whose results expire after a second."""
    async with supervised(tmp_path_factory.mktemp("own"), result_ttl_s=1.0) as found:
        yield found


def saver(source: str) -> dict:
    return node("SaveImage", images=[source, 0], filename_prefix="taken")


@pytest.mark.asyncio(loop_scope="module")
async def test_a_cached_name_of_another_image(client: Supervised) -> None:
    """A cached name that now belongs to another job's file is not delivered, and the node runs again."""
    small = with_image(saver("1"), color=700)
    first = await run(client, small)
    await emptied(client)
    large = {"2": node("EmptyImage", width=64, height=64, batch_size=1, color=701), "4": saver("2")}
    both = await run(client, small | large)
    assert [(item["node_id"], item["width"]) for item in both["outputs"]] == [("4", 64), ("5", 32)]
    assert both["outputs"][0]["filename"] == first["outputs"][0]["filename"]
    again = await run(client, small)
    assert [(item["node_id"], item["width"]) for item in again["outputs"]] == [("5", 32)]


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize("fails", [False, True])
async def test_an_existing_file_is_kept(tmp_path: Path, fails: bool) -> None:
    """A reported file that existed before the job is delivered, and is not deleted with the job."""
    existing = tmp_path / "engine/output/of-the-operator.png"
    existing.parent.mkdir(parents=True)
    existing.write_bytes(b"a picture")
    workflow = with_image(report({"images": [{"filename": existing.name, "subfolder": "", "type": "output"}]}))
    if fails:
        workflow["6"] = node("EmbeddedSleep", image=["1", 0], seconds=0.2, steps=0)
        workflow["7"] = node("EmbeddedFail", image=["6", 0], message="on purpose")
        workflow["8"] = node("SaveImage", images=["7", 0], filename_prefix="never")
    async with supervised(tmp_path, result_ttl_s=0.5) as client:
        status, body = await client.post("/generate/sync", {"workflow": workflow})
        assert status == (422 if fails else 200), body
        async with asyncio.timeout(60):
            while next((tmp_path / "outputs").glob("job-*/*"), None):
                await asyncio.sleep(0.1)
        await asyncio.sleep(5.1 if fails else 0)
        await run(client, with_image(report({"text": ["later"]})))
    assert existing.exists()


def test_a_rerun_node_has_the_same_signature() -> None:
    """signature ignores the node's id and title, and depends on its sources."""
    prompt = {"1": node("EmptyImage", color=1), "5": saver("1"), "6": node("ImageInvert", image=["5", 0])}
    second = rerun_nodes(prompt, ["5"])
    [name] = second.nodes
    assert name != "5"
    assert node_digest(second.prompt, name) == node_digest(prompt, "5")
    assert node_digest(prompt | {"5": prompt["5"] | {"_meta": {"title": "t"}}}, "5") == node_digest(prompt, "5")
    assert node_digest(prompt | {"1": node("EmptyImage", color=2)}, "5") != node_digest(prompt, "5")
