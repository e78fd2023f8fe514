"""The suite that every backend passes. What a backend cannot do is a capability, and raises OperationUnsupported."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import TypeVar

import pytest
import pytest_asyncio
from pydantic import SecretStr

from tests.backends.open_backends import BACKENDS, OpenBackend
from tests.platforms.test_pull_platform import noise
from tests.workflows import Workflow, drawn, faulty, hidden, picture, slow
from worker.backends.base import Backend, JobBody, JobReference, RemoteState, Uniqueness
from worker.backends.registry import open_backend
from worker.errors import (
    BackendRefused,
    BackendUnreachable,
    JobLost,
    OperationUnsupported,
    StartupError,
    SubmissionUncertain,
)

pytestmark = pytest.mark.asyncio(loop_scope="module")

UNKNOWN_CLASS = {"1": {"class_type": "NoSuchNode", "inputs": {}}}
LIMIT_S = 60
PAGE = Path(__file__).parents[2] / "docs" / "backends.md"
T = TypeVar("T")


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=BACKENDS)
async def opened(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[OpenBackend]:
    """One backend of each kind, for all tests."""
    async with BACKENDS[request.param](tmp_path_factory.mktemp(request.param)) as found:
        yield found


@pytest.fixture
def backend(opened: OpenBackend) -> Backend:
    """The backend alone."""
    return opened.backend


def job(workflow: Workflow, **fields: object) -> JobBody:
    """Return a job with a new key."""
    return JobBody(uuid.uuid4().hex, json.dumps({"workflow": workflow, **fields}).encode())


async def submitted(backend: Backend, body: JobBody) -> JobReference:
    """Submit a job as a caller does that stores its reference."""
    return await backend.submit(body, await backend.locate(body))


async def result_of(backend: Backend, reference: JobReference) -> tuple[int, dict]:
    """Return the status and the body of a job's result."""
    async with asyncio.timeout(LIMIT_S), backend.result(reference) as response:
        return response.status, json.loads(await response.read())


async def until_reached(operation: Callable[[], Awaitable[T]]) -> T:
    """Return the result of an operation, which is repeated while the backend cannot be reached or refuses for now."""
    async with asyncio.timeout(LIMIT_S):
        while True:
            try:
                return await operation()
            except (BackendUnreachable, SubmissionUncertain):
                await asyncio.sleep(0.2)
            except BackendRefused as error:
                if not error.elsewhere:
                    raise
                await asyncio.sleep(0.2)


async def wait_for(backend: Backend, reference: JobReference, *states: RemoteState) -> None:
    """Wait until a job is in one of these states."""
    async with asyncio.timeout(LIMIT_S):
        while (await backend.status(reference)).state not in states:
            await asyncio.sleep(0.05)


async def test_a_job_is_submitted_and_its_result_is_read(backend: Backend) -> None:
    """The result has the status and the body that a worker sends."""
    reference = await submitted(backend, job(picture()))
    status, body = await result_of(backend, reference)
    assert (status, body["status"]) == (200, "success")
    assert body["image"].startswith("iVBOR")
    assert (await backend.status(reference)).state is RemoteState.SUCCEEDED


async def test_a_job_runs_with_one_call(backend: Backend) -> None:
    """`run` starts a job and returns its result."""
    body = job(picture())
    async with asyncio.timeout(LIMIT_S), backend.run(body, await backend.locate(body)) as response:
        assert response.status == 200
        assert json.loads(await response.read())["image"].startswith("iVBOR")


async def test_a_result_can_be_read_twice(backend: Backend) -> None:
    """A caller whose own client has left may ask again."""
    reference = await submitted(backend, job(picture()))
    first = await result_of(backend, reference)
    assert (await result_of(backend, reference))[1]["outputs"] == first[1]["outputs"]


async def test_an_invalid_job_is_refused_or_fails_with_the_workers_error(backend: Backend) -> None:
    """The error names the node. Sending the job to another backend would not help."""
    try:
        reference = await submitted(backend, job(UNKNOWN_CLASS))
    except BackendRefused as error:
        refused, (status, answer) = error, (error.status, json.loads(error.body))
    else:  # a queue accepts anything, and its worker reports the error
        refused, (status, answer) = None, await result_of(backend, reference)
        assert (await backend.status(reference)).state is RemoteState.FAILED
    assert refused is None or not refused.elsewhere
    assert (status, answer["error"]["code"]) == (422, "invalid_workflow")
    assert "NoSuchNode" in answer["error"]["message"]


async def test_a_job_that_fails_has_its_error_as_result(backend: Backend) -> None:
    """The HTTP status is that of the worker's error."""
    reference = await submitted(backend, job(faulty("raise")))
    status, body = await result_of(backend, reference)
    assert (status, body["error"]["code"]) == (422, "node_failed")
    assert body["error"]["details"][0]["node_id"] == "4"
    assert (await backend.status(reference)).state is RemoteState.FAILED


async def test_the_status_of_a_running_job(backend: Backend) -> None:
    """A job that runs is RUNNING, and can be cancelled if the backend has the capability."""
    reference = await submitted(backend, job(slow(30, 600)))
    await wait_for(backend, reference, RemoteState.RUNNING)
    if not backend.capabilities.cancels_running:
        with pytest.raises(OperationUnsupported):
            await backend.cancel(reference)
        return
    assert (await backend.cancel(reference)).cancelled
    assert (await backend.status(reference)).state is RemoteState.CANCELLED
    assert (await result_of(backend, reference))[0] == 499
    assert not (await backend.cancel(reference)).cancelled


async def test_another_process_attaches(backend: Backend) -> None:
    """A reference that was stored as JSON is enough to follow a job."""
    reference = JobReference.from_json((await submitted(backend, job(slow(0.5, 10)))).as_json())
    if not backend.capabilities.attaches:
        with pytest.raises(OperationUnsupported):
            await backend.attach(reference)
        return
    assert not (await backend.attach(reference)).state.ended
    assert (await result_of(backend, reference))[0] == 200


async def test_a_submission_that_is_repeated_finds_its_job(backend: Backend) -> None:
    """With uniqueness, the second submission returns the same reference."""
    body = job(slow(0.2, 4))
    located = await backend.locate(body)
    first, second = await backend.submit(body, located), await backend.submit(body, located)
    is_unique = backend.capabilities.uniqueness is not Uniqueness.NONE
    assert (first.id == second.id) == is_unique
    for reference in (first, second):
        assert (await result_of(backend, reference))[0] == 200


async def test_the_events_of_a_job(backend: Backend) -> None:
    """Events are numbered, can be resumed, and end with the result. Without the capability they are unsupported."""
    reference = await submitted(backend, job(slow(0.3, 6)))
    if not backend.capabilities.events:
        with pytest.raises(OperationUnsupported):
            await anext(aiter(backend.events(reference)))
        return
    async with asyncio.timeout(LIMIT_S):
        events = [event async for event in backend.events(reference)]
    assert [event.name for event in events if event.name != "preview"][-1] == "result"
    assert {"accepted", "state", "step", "output"} <= {event.name for event in events}
    numbers = [event.number for event in events]
    assert numbers == sorted(set(numbers))
    async with asyncio.timeout(LIMIT_S):
        later = [event async for event in backend.events(reference, numbers[-2])]
    assert [event.number for event in later] == numbers[-1:]
    assert json.loads(later[0].data)["status"] == "success"


async def test_an_unknown_job_is_lost(backend: Backend) -> None:
    """Every operation of an unknown job raises JobLost."""
    known = await submitted(backend, job(picture()))
    await result_of(backend, known)
    unknown = JobReference(f"{known.id[:-12]}000000000000", known.token, known.address, known.extra)
    with pytest.raises(JobLost):
        await backend.status(unknown)
    with pytest.raises(JobLost):
        await result_of(backend, unknown)
    with pytest.raises(JobLost):
        await backend.cancel(unknown)


async def test_the_price_and_the_load(backend: Backend) -> None:
    """Both are numbers, or unsupported."""
    if backend.capabilities.price:
        price = await backend.price()
        assert price.usd_hour > 0
        assert price.source
    else:
        with pytest.raises(OperationUnsupported):
            await backend.price()
    if backend.capabilities.load:
        assert (await backend.load()).queued >= 0
    else:
        with pytest.raises(OperationUnsupported):
            await backend.load()


async def test_a_hundred_jobs_at_once(backend: Backend) -> None:
    """Each job has its own result."""
    bodies = [job(picture(16, 16, prefix=f"many{number}")) for number in range(100)]
    references = await asyncio.gather(*(submitted(backend, body) for body in bodies))
    results = await asyncio.gather(*(result_of(backend, reference) for reference in references))
    assert [status for status, _ in results] == [200] * 100
    for number, (_, body) in enumerate(results):
        assert body["outputs"][0]["filename"].startswith(f"many{number}_")


@pytest.mark.parametrize(
    ("request_body", "field"),
    [
        ({"input": {"workflow": picture()}}, "images"),
        ({"input": {"workflow_json": picture(), "return_outputs_as_base64": True}}, "output"),
        ({"template": "smoke-resize", "params": {"width": 64, "height": 32}}, "outputs"),
        ({"workflow": drawn()}, "outputs"),
        ({"input": {"handler": "greet", "arguments": {"name": "you"}}}, "text"),
    ],
    ids=["runpod", "vast", "template", "editor", "handler"],
)
async def test_every_dialect_and_handlers(backend: Backend, request_body: dict, field: str) -> None:
    """A job has the body of /generate/sync in any dialect, and its result is in the same one."""
    reference = await submitted(backend, JobBody(uuid.uuid4().hex, json.dumps(request_body).encode()))
    status, body = await result_of(backend, reference)
    assert status == 200, body
    assert body[field]


async def test_errors_have_the_dialect_of_the_job(backend: Backend) -> None:
    """The error of a job in RunPod's form is in RunPod's form, also if it was cancelled at the platform."""
    body = JobBody(uuid.uuid4().hex, json.dumps({"input": {"workflow": slow(30, 600)}}).encode())
    reference = await submitted(backend, body)
    await wait_for(backend, reference, RemoteState.RUNNING)
    await backend.cancel(reference)
    status, answer = await result_of(backend, reference)
    assert (status, answer["error_info"]["code"]) == (499, "cancelled")


async def test_a_key_of_comfy_org_reaches_the_nodes(backend: Backend) -> None:
    """It is a header of the job. The node returns the hash of what it got."""
    key = "comfyui-key-canary"
    body = job(hidden())
    keyed = replace(body, headers={"X-Comfy-Org-Api-Key": key})
    status, answer = await result_of(backend, await submitted(backend, keyed))
    assert status == 200
    assert hashlib.sha256(key.encode()).hexdigest() in json.dumps(answer["outputs"])
    assert "canary" not in repr(keyed)


async def test_an_input_file_of_three_megabytes(backend: Backend) -> None:
    """The file is in the body, and its picture comes back."""
    workflow = picture()
    workflow["1"] = {"class_type": "LoadImage", "inputs": {"image": "noise.png"}}
    reference = await submitted(backend, job(workflow, inputs={"noise.png": noise(1000)}))
    status, body = await result_of(backend, reference)
    assert (status, body["outputs"][0]["width"]) == (200, 1000)


async def test_a_caller_that_leaves_cancels_no_job(backend: Backend) -> None:
    """The job goes on when the coroutine that waits for it is cancelled."""
    reference = await submitted(backend, job(slow(1.0, 20)))
    waiting = asyncio.create_task(result_of(backend, reference))
    await wait_for(backend, reference, RemoteState.RUNNING)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert (await result_of(backend, reference))[0] == 200


async def test_a_second_instance_follows_a_job(opened: OpenBackend) -> None:
    """All that another process needs is in the reference and the settings."""
    if opened.settings.kind == "local":
        pytest.skip("a second instance would be another worker")
    reference = await submitted(opened.backend, job(slow(0.5, 10)))
    async with open_backend(opened.settings) as second:
        stored = JobReference.from_json(reference.as_json())
        assert (await second.attach(stored)).state in RemoteState
        assert (await result_of(second, stored))[0] == 200


async def test_a_job_survives_a_restart_of_its_worker(opened: OpenBackend) -> None:
    """The worker runs the job again after its restart, and recognizes a submission that is repeated then."""
    if opened.restart is None:
        pytest.skip("the platform would give the job to another worker")
    backend, body = opened.backend, job(slow(1.0, 20))
    located = await backend.locate(body)
    reference = await backend.submit(body, located)
    await wait_for(backend, reference, RemoteState.RUNNING)
    await opened.restart(reference)
    again = await until_reached(lambda: backend.submit(body, located))
    assert again.id == reference.id
    status, _ = await until_reached(lambda: result_of(backend, reference))
    assert status == 200


async def test_a_lost_answer_to_a_submission(opened: OpenBackend) -> None:
    """The submission is uncertain. Sent again, it starts as many runs as the uniqueness of the backend says."""
    if opened.relay is None or opened.started is None:
        pytest.skip("no relay can tell the answers apart")
    backend, body = opened.backend, job(slow(0.2, 4))
    before, located = await opened.started(), await backend.locate(body)
    opened.relay.cut_next = True
    with pytest.raises(SubmissionUncertain):
        await backend.submit(body, located)
    reference = await backend.submit(body, located)
    assert (await result_of(backend, reference))[0] == 200
    is_unique = backend.capabilities.uniqueness is not Uniqueness.NONE
    assert await opened.started() - before == (1 if is_unique else 2)


async def test_a_wrong_key_is_the_operators_fault(opened: OpenBackend) -> None:
    """Another backend may accept the job. No message contains the key."""
    if opened.settings.key is None:
        pytest.skip("the stand-in checks no key, and a local worker has its own")
    wrong = replace(opened.settings, key=SecretStr("wrong-key-canary"))
    with pytest.raises((StartupError, BackendRefused)) as raised:
        async with open_backend(wrong) as backend:
            await submitted(backend, job(picture()))
    assert "canary" not in str(raised.value)
    assert isinstance(raised.value, StartupError) or raised.value.elsewhere


async def test_an_unknown_endpoint(opened: OpenBackend) -> None:
    """Opening it fails, or a job is refused in a way that lets another backend have it."""
    if opened.elsewhere is None:
        pytest.skip("a local worker has no endpoint")
    with pytest.raises((StartupError, BackendRefused, BackendUnreachable)) as raised:
        async with open_backend(opened.elsewhere) as backend:
            await submitted(backend, job(picture()))
    assert not isinstance(raised.value, BackendRefused) or raised.value.elsewhere


async def test_the_capabilities_are_documented(backend: Backend) -> None:
    """The table of docs/backends.md has what the code says. The price depends on the settings."""
    rows = [line.split("|")[1:-1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| `")]
    header = next(
        line.split("|")[1:-1] for line in PAGE.read_text("utf-8").splitlines() if line.startswith("| Capability")
    )
    column = [cell.strip(" `") for cell in header].index(backend.kind)
    for name, value in asdict(backend.capabilities).items():
        if name != "price":
            [cell] = [row[column].strip() for row in rows if row[0].strip().startswith(f"`{name}`")]
            assert cell == shown(value), name


def shown(value: object) -> str:
    """Return a value as the table shows it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None:
        return "–"
    return f"{value:,.0f}" if isinstance(value, int | float) else str(value)
