"""`clients/python/comfy_client.py` runs, follows and cancels jobs of a real worker, in both of its forms."""

from __future__ import annotations

import asyncio
import hashlib
import io
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from PIL import Image
from pydantic import SecretStr

from tests.clients.copied import load_copied
from tests.clients.relay import Relay
from tests.conftest import NOWHERE, ROOT, Client, shared_client, worker
from tests.engines import EngineHandle, start_engine
from tests.inputs.files import loading, noise
from tests.jobs.test_restart import served
from tests.workflows import picture, sampling, slow

pytestmark = pytest.mark.asyncio(loop_scope="module")
client = shared_client

module = load_copied("comfy_client")
ComfyError = module.ComfyError
HANDLERS = """
import time


def add_numbers(first, second=1):
    return {"sum": first + second}


def read_bytes():
    return b"\\x00\\x01"


def fail(message):
    raise ValueError(message)


def wait_for_ever():
    while True:
        time.sleep(0.05)
"""


@asynccontextmanager
async def server(handler: Callable[[web.Request], Awaitable[web.StreamResponse]]) -> AsyncIterator[str]:
    """Serve all requests with a handler, and yield the URL."""
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


def of(url: str, **options: Any) -> Any:
    """Return a client of this URL."""
    return module.Client(url, **options)


async def idle(client: Client) -> None:
    """Wait until the worker has no job."""
    async with asyncio.timeout(60):
        while (await client.get("/health"))[1]["jobs"]:
            await asyncio.sleep(0.05)


async def failed(call: Awaitable[Any]) -> Any:
    """Return the ComfyError of a call."""
    with pytest.raises(ComfyError) as found:
        await call
    return found.value


async def test_generate_and_save(client: Client, tmp_path: Path) -> None:
    """The files are those of the job, inline as well as by URL, below their subfolders."""
    own = of(f"{client.app.url}/")
    workflow = picture(prefix="sub/ä b")
    for output_format in ("base64", "url"):
        result = await own.generate.aio({"workflow": workflow, "output_format": output_format})
        (path,) = await own.save.aio(result, tmp_path / output_format)
        assert path.parent == tmp_path / output_format / "sub"
        assert path.name.startswith("ä b")
        assert hashlib.sha256(path.read_bytes()).hexdigest() == result["outputs"][0]["sha256"]
        assert [entry.name for entry in path.parent.iterdir()] == [path.name]


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ({"filename": "a.png", "subfolder": "../../x"}, "x/a.png"),
        ({"filename": "../a.png"}, "a.png"),
        ({"filename": "/etc/a.png"}, "etc/a.png"),
        ({"filename": "C:\\a.png", "subfolder": "..\\b"}, "b/C_/a.png"),
        ({"filename": ".."}, "0"),
    ],
)
async def test_no_output_is_written_outside_the_folder(output: dict[str, str], expected: str, tmp_path: Path) -> None:
    """Names of files come from workflows, which may be foreign."""
    result = {"outputs": [{"index": 0, "data": "YQ==", **output}]}
    assert of(NOWHERE).save(result, tmp_path) == [tmp_path / expected]
    assert (tmp_path / expected).read_bytes() == b"a"


async def test_another_client_waits_for_a_submitted_job(client: Client) -> None:
    """Id and token are enough. A wait that is too short raises TimeoutError, and the job goes on."""
    job = await of(client.app.url).submit.aio({"workflow": slow(1, steps=10)})
    other = of(client.app.url)
    with pytest.raises(TimeoutError, match=job.id):
        await other.wait.aio(module.Job(job.id, job.token), timeout=0.05)
    assert (await other.status.aio(job))["status"] == "pending"
    assert (await other.wait.aio(job))["status"] == "success"
    assert (await other.cancel.aio(job))["cancelled"] is False


async def test_events_of_a_stream(client: Client) -> None:
    """Events arrive in their order, the last one is the result, and a second client gets the same events."""
    own = of(client.app.url)
    events = [event async for event in own.stream.aio({"workflow": sampling()})]
    names = [event.name for event in events]
    assert (names[0], names[-1], events[-1].data["status"]) == ("accepted", "result", "success")
    assert {"state", "node", "step", "preview", "output"} <= set(names)
    job = module.Job(events[0].data["id"], events[0].data["token"])
    again = await asyncio.to_thread(lambda: list(own.events(job)))
    assert [event[:2] for event in again if event.name != "preview"] == [
        event[:2] for event in events if event.name != "preview"
    ]
    assert [event.name async for event in own.events.aio(job, after=events[-2].id)] == ["result"]


async def test_errors_have_code_node_and_remedy(client: Client) -> None:
    """A rejected workflow, a job that fails, and a template that does not exist."""
    own, wrong, failing = of(client.app.url), picture(), picture()
    wrong["2"]["class_type"] = "SaveImag"
    failing["3"] = {"class_type": "EmbeddedFail", "inputs": {"image": ["1", 0]}}
    failing["2"]["inputs"]["images"] = ["3", 0]
    error = await failed(own.generate.aio({"workflow": wrong}))
    assert (error.code, error.status, error.fault, error.job_id) == ("invalid_workflow", 422, "client", None)
    assert (error.details[0]["node_id"], error.details[0]["suggestion"]) == ("2", "Did you mean 'SaveImage'?")
    error = await failed(own.generate.aio({"workflow": failing}))
    assert (error.code, error.fault, error.retryable, error.details[0]["node_id"]) == ("node_failed", "job", False, "3")
    assert error.job_id
    with pytest.raises(ComfyError, match="EmbeddedFail"):
        _ = [event async for event in own.stream.aio({"workflow": failing})]
    assert (await failed(own.template.aio("nope"))).code == "unknown_template"
    assert (await failed(own.wait.aio(module.Job("nope", "nope")))).code == "not_found"
    assert (await own.validate.aio({"workflow": wrong}))["valid"] is False


async def test_files_are_uploaded(client: Client, tmp_path: Path) -> None:
    """Bytes, a path, a name beyond ASCII with a quote, and parameters of a template."""
    data = noise()
    (tmp_path / "photo.PNG").write_bytes(data)
    own, name = of(client.app.url), 'Fotó 1 „ü“ 写真 "a".png'
    results = [
        await own.generate.aio({"workflow": loading(name)}, files={name: data}),
        await own.generate.aio({"workflow": loading("f/a.png")}, files={"f/a.png": tmp_path / "photo.PNG"}),
        await own.template.aio("resize", {"image": data, "width": 200, "height": 200}),
        await own.template.aio("resize", {"image": tmp_path / "photo.PNG", "width": 100, "height": 100}),
    ]
    images = [Image.open(io.BytesIO(await own.download.aio(result["outputs"][0]))) for result in results]
    assert [image.size for image in images] == [(200, 200)] * 3 + [(100, 100)]
    original = Image.open(io.BytesIO(data)).tobytes()
    assert [image.tobytes() == original for image in images[:2]] == [True, True]


async def test_templates(client: Client) -> None:
    """The list, the schema of the parameters, and a run with other fields of a request."""
    own = of(client.app.url)
    assert "flux-schnell" in {template["name"] for template in await own.templates.aio()}
    assert "width" in (await own.describe_template.aio("smoke-resize"))["schema"]["properties"]
    result = await own.template.aio("smoke-resize", {"width": 48, "height": 32}, output_format="url")
    assert (result["outputs"][0]["width"], "url" in result["outputs"][0]) == (48, True)


async def test_a_cancelled_task_cancels_the_job_that_it_owns(client: Client) -> None:
    """`generate`, also before its handle has arrived, and `stream`, also when its loop is left. `wait` does not."""
    own, workflow = of(client.app.url), slow(60, steps=600)
    for delay_s in (0, 0.5):
        task = asyncio.ensure_future(own.generate.aio({"workflow": workflow}))
        await asyncio.sleep(delay_s)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    with pytest.raises(TimeoutError):
        await own.generate.aio({"workflow": workflow}, timeout=0.3)
    with pytest.raises(TimeoutError):
        await asyncio.to_thread(own.generate, {"workflow": workflow}, timeout=0.3)
    await idle(client)
    events = own.stream.aio({"workflow": workflow})
    async for event in events:
        if event.name == "state":
            break
    await events.aclose()

    def leave() -> None:
        """Leave the loop of the blocking form."""
        for event in own.stream({"workflow": workflow}):
            if event.name == "state":
                return

    await asyncio.to_thread(leave)
    await idle(client)
    job = await own.submit.aio({"workflow": workflow})
    waiting = asyncio.ensure_future(own.wait.aio(job))
    await asyncio.sleep(0.1)
    waiting.cancel()
    assert (await own.status.aio(job))["status"] == "pending"
    assert (await own.cancel.aio(job))["cancelled"] is True


async def test_handlers(engine: EngineHandle, tmp_path: Path) -> None:
    """Arguments, bytes, an exception, an unknown name, and a call that is cancelled."""
    (tmp_path / "app" / "handlers").mkdir(parents=True)
    (tmp_path / "app" / "handlers" / "some.py").write_text(HANDLERS)
    async with worker(engine, tmp_path / "state", handlers=tmp_path / "app", handlers_port=0) as client:
        own = of(client.app.url)
        assert await own.handler.aio("add_numbers", first=2) == {"sum": 3}
        assert await asyncio.to_thread(own.handler, "read_bytes") == b"\x00\x01"
        assert (await failed(own.handler.aio("fail", message="broken"))).code == "handler_failed"
        assert (await failed(own.handler.aio("nope"))).code == "unknown_handler"
        task = asyncio.ensure_future(own.handler.aio("wait_for_ever"))
        await asyncio.sleep(0.3)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await idle(client)


async def test_lost_responses_start_one_job(client: Client) -> None:
    """The submission, the wait and the events are repeated, and nothing runs or is reported twice."""
    async with Relay(client.app.url, cuts=[0, 0, 40, 0]) as relay:
        own = of(relay.url)
        key = {"key": "order-18"}
        result = await own.generate.aio({"workflow": picture(color=77)}, **key)
        assert (await own.submit.aio({"workflow": picture(color=77)}, **key)).id == result["id"]
    assert (await failed(of(client.app.url).submit.aio({"workflow": picture()}, **key))).code == "id_taken"
    job = await of(client.app.url).submit.aio({"workflow": sampling()})
    async with Relay(client.app.url, cuts=[600, 450, 300, 500, 400]) as relay:
        cut = [event[:2] async for event in of(relay.url).events.aio(job) if event.name != "preview"]
        assert relay.connections > 5
    assert cut == [event[:2] async for event in of(client.app.url).events.aio(job) if event.name != "preview"]


async def test_a_worker_that_is_killed_in_mid_job_gives_the_result(tmp_path: Path) -> None:
    """Clients that wait or follow get the result from the next process with the same state folder."""
    with start_engine(tmp_path / "engine") as engine:
        async with served(engine, tmp_path / "state") as process, Relay(process.url) as relay:
            own = of(relay.url)
            job = await own.submit.aio({"workflow": slow(2, steps=20)})
            waiting = asyncio.ensure_future(own.wait.aio(job))

            async def follow() -> list[str]:
                """Return the names of all events."""
                return [event.name async for event in own.events.aio(job)]

            following = asyncio.ensure_future(follow())
            await process.running()
            await process.end()
            relay.cut_all()
            await process.start()
            relay.target = process.url
            assert (await waiting)["status"] == "success"
            assert (await following)[-1] == "result"


async def test_a_full_queue_is_waited_for(engine: EngineHandle, tmp_path: Path) -> None:
    """30 jobs at once complete on a worker that takes four."""
    async with worker(engine, tmp_path, max_queue=4) as client:
        own = of(client.app.url, retry_s=60)
        results = await asyncio.gather(*(own.generate.aio({"workflow": picture()}) for _ in range(30)))
    assert [result["status"] for result in results] == ["success"] * 30


async def test_wrong_urls_and_other_servers(client: Client) -> None:
    """The message names the URL. Pages of a proxy are waited for if their status is one that passes."""
    for url in ("127.0.0.1:18288", "localhost:80", "", "ftp://x", "http://x?a=1", "http://a:b@x"):
        with pytest.raises(ValueError, match=r"must have no|with its scheme"):
            of(url)
    error = await failed(of(NOWHERE, retry_s=0).templates.aio())
    assert (error.code, error.status, error.retryable) == ("connection_failed", 0, True)
    assert f"GET {NOWHERE}/templates: the connection failed" in str(error)
    assert (await failed(of(f"{client.app.url}/nope/").templates.aio())).code == "not_found"
    statuses = [502, 503, 504, 429, 200, 400, 500, 200]

    async def respond(_: web.Request) -> web.StreamResponse:
        status = statuses.pop(0)
        return web.Response(
            status=status, text="<h1>A proxy</h1>" if statuses and status != 200 else '{"templates":[]}'
        )

    async with server(respond) as url:
        assert await of(url).templates.aio() == []
        errors = [await failed(of(url).templates.aio()) for _ in range(2)]
    assert [(error.code, error.status, error.fault) for error in errors] == [
        ("bad_response", 400, "client"),
        ("bad_response", 500, "worker"),
    ]
    assert "<h1>A proxy" in str(errors[0])


async def test_tokens_stay_with_the_worker(engine: EngineHandle, tmp_path: Path) -> None:
    """A download from another host has no token. With `Authorization` of your own, the token is in X-Worker-Token."""
    seen: list[dict[str, str | None]] = []

    async def record(request: web.Request) -> web.StreamResponse:
        seen.append({name: request.headers.get(name) for name in ("Authorization", "X-Worker-Token")})
        return web.Response(body=b"abc")

    token = "0123456789abcdef"
    async with worker(engine, tmp_path, tokens=SecretStr(f"app={token}")) as client, server(record) as other:
        own = of(client.app.url, token=token)
        assert (await own.generate.aio({"workflow": picture()}))["status"] == "success"
        assert await own.download.aio({"url": f"{other}/a.png", "bytes": 3}) == b"abc"
        both = of(client.app.url, token=token, headers={"authorization": "Bearer outer"})
        assert (await both.generate.aio({"workflow": picture()}))["status"] == "success"
        assert (await failed(of(client.app.url).generate.aio({"workflow": picture()}))).code == "unauthorized"
    assert seen == [{"Authorization": None, "X-Worker-Token": None}]


async def test_large_results_arrive_whole(client: Client) -> None:
    """A result of 50 MiB, inline, by URL, and in the last event of a stream."""
    own = of(client.app.url)
    big = {"1": {"class_type": "EmbeddedBigFile", "inputs": {"mebibytes": 50, "filename_prefix": "big"}}}
    results = [
        await own.generate.aio({"workflow": big}),
        await own.generate.aio({"workflow": big, "output_format": "url"}),
        [event async for event in own.stream.aio({"workflow": big})][-1].data,
    ]
    for result in results:
        assert len(await own.download.aio(result["outputs"][0])) == 50 * 1024 * 1024


async def test_one_copied_file_is_enough(client: Client, tmp_path: Path) -> None:
    """A program beside a copy of the file runs without packages."""
    shutil.copy(ROOT / "clients" / "python" / "comfy_client.py", tmp_path)
    program = (
        "from comfy_client import Client\n"
        f"client = Client({client.app.url!r})\n"
        f"print(client.save(client.generate({{'workflow': {picture()!r}}}), 'out')[0].exists())\n"
    )
    (tmp_path / "program.py").write_text(program)
    command = [sys.executable, "-I", "-S", "-c", "import sys; sys.path.insert(0, '.'); import program"]
    done = await asyncio.to_thread(subprocess.run, command, cwd=tmp_path, capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("True\n", "")
