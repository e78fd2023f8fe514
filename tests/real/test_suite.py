"""The suite of real jobs, run on the embedded engine: sender, recorder, comparison and job files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from real import stage
from real.jobs import read_packs
from real.passes import Place, Repertoire, Way, play, ran_again
from real.run import read_catalog
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
async def place(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Place]:
    """A worker before the embedded engine, with its own catalog."""
    folder = tmp_path_factory.mktemp("real")
    async with stage.embedded(None, folder) as scene, aiohttp.ClientSession() as http:
        async with http.get(f"{scene.engine}/object_info") as answer:
            catalog = read_catalog(await answer.read())
        yield Place(DirectSender(http, scene.url), scene, Repertoire(*catalog))


@pytest.mark.parametrize("name", CHOSEN)
async def test_a_job_of_the_suite_comes_without_difference(name: str, place: Place) -> None:
    """What the worker delivers inline and by URL is, byte for byte, what the engine wrote, and nothing ran twice."""
    job = JOBS[f"ComfyUI's own nodes: {name}"]
    inline = await play(job, Way.INLINE, place)
    by_url = await play(job, Way.URL, place)
    assert [*inline.differences, *by_url.differences] == []
    assert len(inline.outputs) == len(job.expected)
    assert not ran_again(inline, by_url, place.repertoire)
    (run,) = inline.log.runs
    assert run.end == "execution_success"
    assert run.executed


async def test_a_job_whose_nodes_are_not_installed_is_skipped(place: Place) -> None:
    """The reason names the class."""
    result = await play(JOBS["KJNodes: SaveImageKJ"], Way.INLINE, place)
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
