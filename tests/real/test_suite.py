"""The suite of real jobs, run on the embedded engine: sender, recorder, comparison and job files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from real import workers
from real.jobs import read_packs
from real.passes import EngineInventory, PassContext, RequestMode, repeated_nodes, send_job
from real.run import parse_catalog
from real.sending import DirectSender

ROOT = Path(__file__).parents[2]
PACKS = read_packs()
JOBS = {job.title: job for pack in PACKS for job in pack.jobs}
CHOSEN = (
    "SaveImage",
    "SaveImage, a batch of 3",
    "SaveImage with a Unicode name",
    "PreviewImage alone",
    "PreviewImage at a lower id than SaveImage",
    "PreviewAny: text",
    "SaveImageWebsocket",
    "SaveAudioMP3",
    "SaveLatent",
    "LoadImage",
)
pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(loop_scope="module", scope="module")
async def context(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[PassContext]:
    """A worker before the embedded engine, with its own catalog."""
    folder = tmp_path_factory.mktemp("real")
    async with workers.embedded(None, folder) as worker, aiohttp.ClientSession() as http:
        async with http.get(f"{worker.engine}/object_info") as answer:
            catalog = parse_catalog(await answer.read())
        yield PassContext(DirectSender(http, worker.url), worker, EngineInventory(*catalog))


@pytest.mark.parametrize("name", CHOSEN)
async def test_a_job_of_the_suite_comes_without_difference(name: str, context: PassContext) -> None:
    """What the worker delivers inline and by URL is, byte for byte, what the engine wrote, and nothing ran twice."""
    job = JOBS[f"ComfyUI's own nodes: {name}"]
    inline = await send_job(job, RequestMode.INLINE, context)
    by_url = await send_job(job, RequestMode.URL, context)
    assert [*inline.differences, *by_url.differences] == []
    assert len(inline.outputs) == len(job.expected)
    assert not repeated_nodes(inline, by_url, context.inventory)
    (run,) = inline.log.runs
    assert run.end == "execution_success"
    assert run.executed


async def test_a_job_whose_nodes_are_not_installed_is_skipped(context: PassContext) -> None:
    """The reason names the class."""
    result = await send_job(JOBS["KJNodes: SaveImageKJ"], RequestMode.INLINE, context)
    assert result.skipped == "not installed: SaveImageKJ"


async def test_the_command_needs_a_comfyui() -> None:
    """Without a folder it ends at once and names what it needs."""
    done = subprocess.run([sys.executable, "-m", "real"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "`make real COMFYUI=FOLDER`" in done.stderr


async def test_every_pack_is_tried() -> None:
    """Each has jobs with five of its classes at least, or says of its classes why they are not tried."""
    titles = [job.title for pack in PACKS for job in pack.jobs]
    assert len(titles) == len(set(titles))
    assert len(PACKS) == 16
    for pack in PACKS:
        assert len({name for job in pack.jobs for name in job.classes}) >= 5 or pack.not_tried, pack.title


async def test_a_job_expects_outputs_of_its_own_nodes() -> None:
    """A job expects outputs of nodes that its workflow has, or a problem or a failure instead."""
    for job in JOBS.values():
        saved = {str(node["id"]) for node in job.workflow["nodes"]} if job.converted else {*job.workflow}
        nodes = {*job.editor} or saved
        assert {expected.node for expected in job.expected} <= nodes, job.title
        assert job.expected or job.problem or job.fails, job.title
