"""Eviction and protection of a worker's models."""

from __future__ import annotations

import hashlib
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.fetch.origin import Origin, content, opened, serving
from tests.workflow.prompts import sampled
from worker.errors import ModelsMissing
from worker.events import JobAccepted, Notify, Observers, ignore_event
from worker.job import Job, JobRequest, JobState
from worker.jobs.job_index import JobIndex
from worker.models.fetcher import ModelFetcher
from worker.models.folder import WORKER_FOLDER, ModelsFolder, worker_models
from worker.models.service import Models, TemplateModels
from worker.settings import Settings
from worker.supervision import Tasks
from worker.workflow.model_needs import ModelNeed
from worker.workflow.prompt import Prompt
from worker.workflow.templates.template import Library, ModelFile, Template

SIZE = 400_000
DATA = {name: os.urandom(SIZE) for name in "abc"}


def needs(origin: Origin, name: str) -> list[ModelNeed]:
    digest = hashlib.sha256(DATA[name]).hexdigest()
    source = ModelFile(f"{name}.safetensors", "checkpoints", origin.url(f"/{name}"), SIZE, digest)
    return [ModelNeed(source.file, ("checkpoints",), ("4",), listed=False, source=source)]


def prompt_with(name: str) -> Prompt:
    prompt = sampled()
    prompt["4"]["inputs"]["ckpt_name"] = f"{name}.safetensors"
    return prompt


def present_files(root: Path) -> set[str]:
    return {path.stem for path in (root / "checkpoints").iterdir()}


def settings(root: Path, origin: Origin, **worker_settings: object) -> Settings:
    """Return settings with a quota for two of the three files."""
    quota = 2.5 * SIZE / 1024**3
    return Settings.of(
        models_folder=root, models_on_demand=True, models_quota=quota, fetch_allow=opened(origin), **worker_settings
    )


def models_of(
    worker_settings: Settings,
    library: Library,
    jobs: JobIndex,
    arrived: Callable[[], None],
    tasks: Tasks,
    notify: Notify = ignore_event,
) -> Models:
    folder = worker_models(worker_settings)
    fetcher = ModelFetcher(worker_settings.fetch, folder) if folder else None
    return Models(TemplateModels.of(worker_settings.models, library), fetcher, jobs, arrived, tasks, notify)


@asynccontextmanager
async def serving_models(root: Path) -> AsyncIterator[tuple[Origin, Models, JobIndex]]:
    """Yield an origin with the three files, and the models of a worker without templates."""
    jobs = JobIndex()
    async with (
        serving(**{name: content(data) for name, data in DATA.items()}) as origin,
        Tasks() as tasks,
        models_of(settings(root, origin), {}, jobs, lambda: None, tasks) as models,
    ):
        yield origin, models, jobs


async def test_a_model_of_a_running_job_is_not_evicted(tmp_path: Path) -> None:
    """A model that a running job names is not evicted, and can be evicted after the job."""
    async with serving_models(tmp_path) as (origin, models, jobs):
        for name in "ab":
            await models.fetch(needs(origin, name))
        job = Job("1", JobRequest(prompt=prompt_with("a")))
        jobs.add(job)
        Observers([models]).notify(JobAccepted(job.ref, 1.0, "native", None))
        folder = ModelsFolder(tmp_path)
        for record in folder.fetched_records():
            os.utime(
                tmp_path / WORKER_FOLDER / "records" / f"{record.key}.json", (1, 1 if record.file[0] == "a" else 2)
            )
        await models.fetch(needs(origin, "c"))
        assert present_files(tmp_path) == {"a", "c"}
        job.advance(JobState.FAILED)
        await models.fetch(needs(origin, "b"))
        assert present_files(tmp_path) == {"c", "b"}


async def test_a_new_job_marks_its_model_as_used(tmp_path: Path) -> None:
    """A model counts as used when a job that names it is accepted."""
    async with serving_models(tmp_path) as (origin, models, jobs):
        for name in "ab":
            await models.fetch(needs(origin, name))
        for record in ModelsFolder(tmp_path).fetched_records():
            os.utime(
                tmp_path / WORKER_FOLDER / "records" / f"{record.key}.json", (1, 1 if record.file[0] == "a" else 2)
            )
        job = Job("1", JobRequest(prompt=prompt_with("a")))
        jobs.add(job)
        Observers([models]).notify(JobAccepted(job.ref, 1.0, "native", None))
        job.advance(JobState.FAILED)
        await models.fetch(needs(origin, "c"))
        assert present_files(tmp_path) == {"a", "c"}


async def test_pinned_and_protected_models_are_not_evicted(tmp_path: Path) -> None:
    """Models of WORKER_MODELS, and models in `protect`, are not evicted."""
    async with serving(**{name: content(data) for name, data in DATA.items()}) as origin:
        pinned = needs(origin, "a")[0].source
        assert pinned is not None
        library: Library = {"mine": Template("mine", "Mine", "A.", (), ("9",), models=(pinned,))}
        arrivals: list[None] = []
        worker_settings = settings(tmp_path, origin, models="mine")
        async with (
            Tasks() as tasks,
            models_of(worker_settings, library, JobIndex(), lambda: arrivals.append(None), tasks) as models,
        ):
            await models.wait_until_ready()
            waited = needs(origin, "b")
            with models.protect(waited):
                await models.fetch(waited)
                with pytest.raises(ModelsMissing, match="fill the space"):
                    await models.fetch(needs(origin, "c"))
            await models.fetch(needs(origin, "c"))
            assert present_files(tmp_path) == {"a", "c"}
        assert len(arrivals) == 3


@pytest.mark.parametrize(
    ("with_folder", "on_demand", "fetches"), [(False, False, False), (True, False, False), (True, True, True)]
)
async def test_only_a_worker_that_fetches_models_follows_their_use(
    tmp_path: Path, with_folder: bool, on_demand: bool, fetches: bool
) -> None:
    """fetches_models is False without templates and on-demand downloads."""
    worker_settings = Settings.of(models_folder=tmp_path if with_folder else None, models_on_demand=on_demand)
    async with Tasks() as tasks, models_of(worker_settings, {}, JobIndex(), lambda: None, tasks) as models:
        assert models.fetches_models is fetches
