"""The suite of jobs on the embedded engine: sender, recorder, comparison and job files."""

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
    """Start a worker in front of an embedded engine with its own catalog."""
    folder = tmp_path_factory.mktemp("real")
    async with workers.embedded(None, folder) as worker, aiohttp.ClientSession() as http:
        async with http.get(f"{worker.engine}/object_info") as answer:
            catalog = parse_catalog(await answer.read())
        yield PassContext(DirectSender(http, worker.url), worker, EngineInventory(*catalog))


@pytest.mark.parametrize("name", CHOSEN)
async def test_jobs_have_no_differences(name: str, context: PassContext) -> None:
    """The files of a job are delivered unchanged, inline and by URL, and no node runs twice."""
    job = JOBS[f"ComfyUI's own nodes: {name}"]
    inline = await send_job(job, RequestMode.INLINE, context)
    by_url = await send_job(job, RequestMode.URL, context)
    assert [*inline.differences, *by_url.differences] == []
    assert len(inline.outputs) == len(job.expected)
    assert not repeated_nodes(inline, by_url, context.inventory)
    (run,) = inline.log.runs
    assert run.end == "execution_success"
    assert run.executed


async def test_job_with_a_missing_class_is_skipped(context: PassContext) -> None:
    """A job with a missing class is skipped, and the reason names the class."""
    result = await send_job(JOBS["KJNodes: SaveImageKJ"], RequestMode.INLINE, context)
    assert result.skipped == "not installed: SaveImageKJ"


async def test_the_command_needs_a_comfyui() -> None:
    """Without a ComfyUI folder the command ends and says what it needs."""
    done = subprocess.run([sys.executable, "-m", "real"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "`make real COMFYUI=FOLDER`" in done.stderr


async def test_every_pack_has_jobs() -> None:
    """Each pack has jobs for at least five classes, or reasons for the classes without a job."""
    titles = [job.title for pack in PACKS for job in pack.jobs]
    assert len(titles) == len(set(titles))
    assert len(PACKS) == 16
    for pack in PACKS:
        assert len({name for job in pack.jobs for name in job.classes}) >= 5 or pack.not_tried, pack.title


async def test_a_job_expects_outputs_of_its_own_nodes() -> None:
    """Each job expects outputs of nodes in its workflow, or a problem or a failure."""
    for job in JOBS.values():
        saved = {str(node["id"]) for node in job.workflow["nodes"]} if job.converted else {*job.workflow}
        nodes = {*job.editor} or saved
        assert {expected.node for expected in job.expected} <= nodes, job.title
        assert job.expected or job.problem or job.fails, job.title
