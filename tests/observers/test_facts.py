"""Events contain what an operator wants to know."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import cast

import pytest

from tests.conftest import Client, worker
from tests.engine.supervised import supervised
from tests.engines import EngineHandle
from tests.fetch.origin import content, opened, serving
from tests.models.test_service import DATA, SIZE, models_of, needs, settings
from tests.observers.receiver import receiver
from tests.observers.recorder import EventRecorder
from tests.workflows import failing, picture
from worker.errors import ModelsMissing, WorkerError
from worker.events import (
    CacheHit,
    CacheKind,
    DeliveryEnded,
    DeliveryMethod,
    EngineConnected,
    EngineLost,
    EngineStarted,
    InputFetched,
    JobAccepted,
    JobFinished,
    JobSubmitted,
    LossCause,
    ModelFetched,
    NodesCached,
    NodeStarted,
    RequestRefused,
    RunEnded,
    StateChanged,
    TaskFailed,
    WebhookAttempted,
    WebhookOutcome,
)
from worker.fetch.fetcher import Fetcher
from worker.job import JobState
from worker.jobs.job_index import JobIndex
from worker.settings import FetchSettings
from worker.supervision import Tasks


def recorded(client: Client) -> EventRecorder:
    recorder = EventRecorder()
    client.app.observers.add(recorder)
    return recorder


async def test_the_facts_of_a_job(client: Client) -> None:
    """The events of a job have its stages and times, and only its own names."""
    recorder = recorded(client)
    await client.post("/generate/sync", {"workflow": picture(), "id": "mine"})
    [accepted] = recorder.of(JobAccepted)
    assert (accepted.job.id, accepted.job.principal, accepted.dialect) == ("mine", "local", "native")
    assert [event.state for event in recorder.of(StateChanged)] == [
        JobState.PREPARING,
        JobState.WAITING,
        JobState.GENERATING,
        JobState.DELIVERING,
        JobState.COMPLETED,
    ]
    [submitted], [ended], [delivered] = recorder.of(JobSubmitted), recorder.of(RunEnded), recorder.of(DeliveryEnded)
    assert submitted.prompt_id
    assert [event.class_type for event in recorder.of(NodeStarted)] == ["EmptyImage", "SaveImage"]
    assert (delivered.method, delivered.code) == (DeliveryMethod.INLINE, None)
    [finished] = await recorder.until(JobFinished)
    assert (finished.state, finished.outputs, finished.size) == (JobState.COMPLETED, 1, delivered.size)
    assert delivered.size > 0
    assert sum(seconds for _, seconds in finished.stages) == pytest.approx(finished.elapsed_s)
    assert {event.job for event in (submitted, ended, delivered, finished)} == {accepted.job}


async def test_nodes_that_comfyui_has_already(client: Client) -> None:
    """Cached nodes are reported as cached, not as started."""
    recorder = recorded(client)
    workflow = picture(prefix="cached")
    for _ in range(2):
        await client.post("/generate/sync", {"workflow": workflow})
    [cached] = await recorder.until(NodesCached)
    assert set(cached.node_ids) <= {"1", "2"}
    assert len(recorder.of(NodeStarted)) == 4 - len(cached.node_ids)


async def test_a_failed_job_says_why(client: Client) -> None:
    """The end of a failed job has the code of its error."""
    recorder = recorded(client)
    await client.post("/generate/sync", {"workflow": failing()})
    [finished] = await recorder.until(JobFinished)
    assert (finished.state, finished.code) == (JobState.FAILED, "node_failed")


async def test_refusals(client: Client) -> None:
    """An error response is an event with the route without ids, the dialect and the code."""
    recorder = recorded(client)
    await client.post("/generate/sync", {"workflow": {"1": {"class_type": "Nothing", "inputs": {}}}})
    await client.post("/generate/sync", {"input": {"workflow_json": {"1": {"class_type": "Nothing", "inputs": {}}}}})
    await client.get("/jobs/none-of-yours")
    await client.get("/nowhere/at/all")
    assert recorder.of(RequestRefused) == [
        RequestRefused("/generate/sync", "native", "invalid_workflow", 422),
        RequestRefused("/generate/sync", "vast", "invalid_workflow", 422),
        RequestRefused("/jobs/{id}", "native", "not_found", 404),
        RequestRefused("", "native", "not_found", 404),
    ]


async def test_webhook_tries(engine: EngineHandle, tmp_path: Path) -> None:
    """Each attempt of a webhook is an event with number and outcome."""
    async with receiver(statuses=[500]) as server:
        given = {"fetch_allow": server.opened, "webhook_pause_s": 0.01}
        async with worker(engine, tmp_path, **given) as client:
            recorder = recorded(client)
            await client.post("/generate/sync", {"workflow": picture(), "webhook": {"url": server.url}})
            tries = await recorder.until(WebhookAttempted, 2)
    assert [(one.number, one.outcome) for one in tries] == [
        (1, WebhookOutcome.REJECTED),
        (2, WebhookOutcome.ACCEPTED),
    ]


async def test_input_fetches_and_what_was_here_already(tmp_path: Path) -> None:
    """Downloads, cache hits and failures of input files are events."""
    recorder, data = EventRecorder(), b"file" * 100
    async with (
        serving(file=content(data, ETag='"a"')) as origin,
        Fetcher(FetchSettings(allow=opened(origin)), tmp_path, notify=recorder.notify) as fetcher,
    ):
        held = await fetcher.fetch(origin.url())
        await fetcher.fetch(origin.url(), held.sha256)
        with pytest.raises(WorkerError):
            await fetcher.fetch(origin.url("/nothing"))
    fetched, hit, failed = recorder.events
    assert isinstance(fetched, InputFetched)
    assert (fetched.size, fetched.code, hit) == (len(data), None, CacheHit(CacheKind.INPUTS))
    assert isinstance(failed, InputFetched)
    assert (failed.size, failed.code) == (0, "fetch_failed")


async def test_model_fetches(tmp_path: Path) -> None:
    """Downloads and failures of model files are events."""
    recorder = EventRecorder()
    async with (
        serving(a=content(DATA["a"])) as origin,
        Tasks() as tasks,
        models_of(settings(tmp_path, origin), {}, JobIndex(), lambda: None, tasks, recorder.notify) as models,
    ):
        await models.fetch(needs(origin, "a"))
        await models.fetch(needs(origin, "a"))
        with pytest.raises(ModelsMissing):
            await models.fetch(needs(origin, "b"))
        models.notify_present(2)
    fetched, failed, hit = recorder.events
    assert isinstance(fetched, ModelFetched)
    assert (fetched.file, fetched.size, fetched.code) == ("a.safetensors", SIZE, None)
    assert cast(ModelFetched, failed).code == "fetch_failed"
    assert hit == CacheHit(CacheKind.MODELS, 2)


async def test_engine_starts_and_losses(tmp_path: Path) -> None:
    """Loss, start and connection of an engine are events."""
    recorder = EventRecorder()
    async with supervised(tmp_path, recorder, engine_silence_s=10.0) as found:
        await recorder.until(EngineStarted)
        found.signal(signal.SIGKILL)
        _, started = await recorder.until(EngineStarted, 2)
        await recorder.until(EngineConnected, 2)
    assert 0 < started.seconds < 20
    assert {event.cause for event in recorder.of(EngineLost)} >= {LossCause.ENDED, LossCause.DISCONNECTED}


async def test_failures_of_background_tasks(client: Client) -> None:
    """A failed task is an event with a name without ids."""
    recorder = recorded(client)

    async def fail() -> None:
        raise ValueError("no")

    client.app.tasks.spawn("webhook-of-some-job", fail())
    client.app.tasks.start("janitor", fail)
    await recorder.until(TaskFailed, 2)
    assert recorder.of(TaskFailed)[:2] == [TaskFailed("webhook"), TaskFailed("janitor")]
