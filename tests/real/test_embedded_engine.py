"""The embedded engine compared with recordings of a real ComfyUI, which `make real RECORD=tests/data` writes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import aiohttp
import pytest

from real import recordings, workers
from real.embedded_engine import Recording, divergences
from real.jobs import RealJob, read_packs
from real.passes import EngineInventory, PassContext, RequestMode, send_job
from real.run import parse_catalog
from real.sending import DirectSender

DATA = Path(__file__).parents[1] / "data"


@pytest.fixture(scope="module")
def jobs() -> Mapping[str, RealJob]:
    """Return all jobs of the suite by title."""
    return {job.title: job for pack in read_packs() for job in pack.jobs}


@pytest.fixture(scope="module")
def recorded() -> Mapping[str, Recording]:
    """Return the recordings of a real ComfyUI by title."""
    return recordings.read(DATA)


def test_every_job_is_recorded(jobs: Mapping[str, RealJob], recorded: Mapping[str, Recording]) -> None:
    """Every job of the suite has a recording."""
    assert recorded.keys() == jobs.keys()


def test_recordings_contain_no_machine_paths() -> None:
    """The recordings contain no path of the machine where they were made."""
    content = (DATA / recordings.LOG).read_text("utf-8") + recordings.catalog(DATA)
    assert not any(context in content for context in ("/work/", "/home/", "/root/"))


async def test_embedded_engine_behaves_as_recorded(
    jobs: Mapping[str, RealJob], recorded: Mapping[str, Recording], tmp_path: Path
) -> None:
    """The engine behaves as recorded, except for jobs that give a reason."""
    content = recordings.catalog(DATA)
    catalog = tmp_path / "catalog.json"
    catalog.write_text(content, "utf-8")
    diverging: dict[str, list[str]] = {}
    async with workers.embedded(catalog, tmp_path) as worker, aiohttp.ClientSession() as http:
        context = PassContext(DirectSender(http, worker.url), worker, EngineInventory(*parse_catalog(content.encode())))
        for title, job in jobs.items():
            result = await send_job(job, RequestMode.EMBEDDED, context)
            assert not result.skipped, title
            assert not result.differences, title
            if sentences := list(divergences(recorded[title], Recording.of(result))):
                diverging[title] = sentences
    assert {title: sentences for title, sentences in diverging.items() if not jobs[title].twin} == {}
    assert diverging.keys() == {title for title, job in jobs.items() if job.twin}
