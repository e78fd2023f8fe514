"""Injected faults: how they are requested, and their effects on an engine."""

from __future__ import annotations

import asyncio
import signal
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import aiohttp
import pytest

from tests.cli.terminal import cli
from tests.engines import EngineHandle, start_engine
from tests.workflows import faulty, picture, slow
from worker.errors import InvalidFault
from worker.simulators.comfyui.faults.fault import FaultKind, parse_faults


def test_faults_are_parsed() -> None:
    """parse_faults reads kind, node and parameters of each fault, and fills in defaults."""
    crash, slow_, oom = parse_faults("crash@3;times=2, slow@KSampler;factor=5;seconds=0.5 ,oom")
    assert (crash.kind, crash.where, crash["times"], crash["after"]) == (FaultKind.CRASH, "3", 2.0, 0.0)
    assert (slow_["factor"], slow_["seconds"], slow_["times"]) == (5.0, 0.5, 0.0)
    assert [oom.matches("7", "Any"), slow_.matches("7", "KSampler"), slow_.matches("7", "VAEDecode")] == [
        True,
        True,
        False,
    ]
    assert parse_faults("") == []


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("explode", "crash, hang"),
        ("crash;factor=2", "times, after"),
        ("slow;seconds=soon", "'soon' is not a number"),
        ("oom;times=-1", "0 or more"),
        ("oom;times=nan", "0 or more"),
        ("@3", "unknown fault ''"),
    ],
)
def test_invalid_faults_name_the_valid_values(text: str, message: str) -> None:
    """The error for an invalid fault names the mistake and the valid values."""
    with pytest.raises(InvalidFault, match=message):
        parse_faults(text)


def test_commands_reject_invalid_faults(tmp_path: Path) -> None:
    """The commands reject an invalid fault, and any fault for a real ComfyUI."""
    done = cli("engine", "--fault", "explode", cwd=tmp_path)
    assert (done.returncode, "unknown fault" in done.stderr) == (2, True)
    done = cli("serve", "--port", "0", "--fault", "explode", cwd=tmp_path)
    assert (done.returncode, "unknown fault" in done.stderr) == (1, True)
    (tmp_path / "main.py").touch()
    done = cli("serve", "--port", "0", "--comfyui", tmp_path, "--fault", "oom", cwd=tmp_path)
    assert (done.returncode, "embedded engine only" in done.stderr) == (1, True)


class EngineSession:
    """An HTTP session with an engine in a process, and its WebSocket."""

    def __init__(self, engine: EngineHandle, http: aiohttp.ClientSession) -> None:
        self.engine = engine
        self._http = http
        self.client_id = uuid.uuid4().hex

    async def post(self, workflow: object, **headers: str) -> str:
        """Submit a workflow. Return its prompt id, or the error type when it is rejected."""
        body = {"prompt": workflow, "client_id": self.client_id}
        async with self._http.post(self.engine.url + "/prompt", json=body, headers=headers) as answer:
            content = await answer.json()
            return content["prompt_id"] if answer.status == 200 else content["error"]["type"]

    async def get(self, path: str) -> tuple[int, dict]:
        """Return the status and the JSON body of a GET request."""
        async with self._http.get(self.engine.url + path) as answer:
            return answer.status, await answer.json(content_type=None) if answer.status == 200 else {}

    @asynccontextmanager
    async def socket(self) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """Open the session's WebSocket and read its first frame."""
        async with self._http.ws_connect(f"{self.engine.url}/ws?clientId={self.client_id}") as socket:
            await socket.receive()
            yield socket

    async def ended(self, prompt_id: str) -> dict:
        """Wait for the history entry of a prompt, and return it."""
        async with asyncio.timeout(60):
            while not (entry := (await self.get(f"/history/{prompt_id}"))[1]):
                await asyncio.sleep(0.01)
        return entry[prompt_id]

    async def failed(self, workflow: object, **headers: str) -> str:
        """Run a workflow. Return the type of the exception that it ended with, or an empty string."""
        status = (await self.ended(await self.post(workflow, **headers)))["status"]
        return next((data["exception_type"] for name, data in status["messages"] if name == "execution_error"), "")


@asynccontextmanager
async def open_session(base: Path, *options: str) -> AsyncIterator[EngineSession]:
    """Start an engine in a process, and open a session."""
    with start_engine(base, *options) as engine:
        # Nothing of a connection outlives an answer: the engine may be killed after each.
        async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as http:
            yield EngineSession(engine, http)


async def test_faults_raise_comfyuis_exceptions(tmp_path: Path) -> None:
    """Faults raise ComfyUI's exception types, `times` times, at nodes by class or id."""
    async with open_session(tmp_path, "--fault", "oom@EmptyImage;times=2,full@2;after=1") as engine:
        kinds = [await engine.failed(picture()) for _ in range(5)]
    assert kinds == ["torch.OutOfMemoryError", "torch.OutOfMemoryError", "", "OSError", ""]


async def test_header_injects_a_fault_into_one_prompt(tmp_path: Path) -> None:
    """A fault in the header applies to its own prompt only. An invalid one is rejected."""
    fault = {"X-Embedded-Fault": "oom@SaveImage;times=0"}
    async with open_session(tmp_path) as engine:
        kinds = [await engine.failed(picture(), **headers) for headers in (fault, {}, fault)]
        assert kinds == ["torch.OutOfMemoryError", "", "torch.OutOfMemoryError"]
        assert await engine.post(picture(), **{"X-Embedded-Fault": "explode"}) == "invalid_fault"


async def test_a_broken_gpu_stays_broken_until_a_restart(tmp_path: Path) -> None:
    """After `cuda` every node fails and /system_stats returns 500 until the engine restarts."""
    async with open_session(tmp_path) as engine:
        kinds = [await engine.failed(workflow) for workflow in (picture(), faulty("cuda"), picture())]
        assert kinds == ["", "torch.AcceleratorError", "torch.AcceleratorError"]
        assert (await engine.get("/system_stats"))[0] == 500
        engine.engine.kill()
        engine.engine.restart()
        assert await engine.failed(faulty("cuda")) == ""


async def test_crash_count_survives_a_restart(tmp_path: Path) -> None:
    """A crash with `times=1` does not happen again after a restart."""
    async with open_session(tmp_path) as engine:
        await engine.post(faulty("crash"))
        assert await asyncio.to_thread(engine.engine.process.wait, 5) == -signal.SIGKILL
        engine.engine.kill()
        engine.engine.restart()
        assert await engine.failed(faulty("crash")) == ""


async def test_hang_and_freeze(tmp_path: Path) -> None:
    """A hanging node ignores an interrupt. A frozen process is stopped."""
    async with open_session(tmp_path) as engine:
        prompt_id = await engine.post(faulty("hang"))
        async with asyncio.timeout(60):
            while f"EmbeddedFault of the prompt {prompt_id} has begun" not in (await engine.get("/internal/logs"))[1]:
                await asyncio.sleep(0.02)
        async with aiohttp.ClientSession() as http:
            await http.post(engine.engine.url + "/interrupt", json={"prompt_id": prompt_id})
        await asyncio.sleep(0.3)
        assert [item[1] for item in (await engine.get("/queue"))[1]["queue_running"]] == [prompt_id]
        engine.engine.kill()
        engine.engine.restart()
        posting = asyncio.create_task(engine.post(faulty("freeze")))  # it may freeze before it answers
        stat = Path(f"/proc/{engine.engine.process.pid}/stat")
        async with asyncio.timeout(60):
            while stat.read_text().rpartition(")")[2].split()[0] != "T":
                await asyncio.sleep(0.01)
        engine.engine.kill()
        await asyncio.gather(posting, return_exceptions=True)


async def test_thread_fault_stops_all_later_prompts(tmp_path: Path) -> None:
    """After `thread` the prompt ends, and later prompts stay in the queue."""
    async with open_session(tmp_path) as engine:
        assert await engine.failed(faulty("thread")) == ""
        waiting = await engine.post(picture())
        await asyncio.sleep(0.2)
        _, queue = await engine.get("/queue")
        assert (queue["queue_running"], [item[1] for item in queue["queue_pending"]]) == ([], [waiting])


async def test_drop_and_deaf_faults_of_websockets(tmp_path: Path) -> None:
    """`drop` closes WebSockets without a close frame. `deaf` leaves them open without frames."""
    async with open_session(tmp_path) as engine:
        async with engine.socket() as socket:
            await engine.post(faulty("drop"))
            async with asyncio.timeout(60):
                async for _ in socket:
                    pass
            assert socket.close_code == 1006
        async with engine.socket() as socket:
            prompt_id = await engine.post(faulty("deaf"))
            await engine.ended(prompt_id)
            received = []
            with suppress(TimeoutError):
                while True:
                    frame = (await socket.receive(0.2)).json()
                    received.append((frame["type"], frame["data"].get("prompt_id")))
            assert ("execution_success", prompt_id) not in received


async def test_late_fault_delays_the_history(tmp_path: Path) -> None:
    """With `late` a finished prompt is for a while neither in the queue nor in the history."""
    async with open_session(tmp_path) as engine, engine.socket() as socket:
        prompt_id = await engine.post(faulty("late;seconds=0.5"))
        while (await socket.receive(5)).json()["type"] != "execution_success":
            pass
        while (await engine.get("/prompt"))[1]["exec_info"]["queue_remaining"]:
            await asyncio.sleep(0.01)
        assert (await engine.get(f"/history/{prompt_id}"))[1] == {}
        assert (await engine.ended(prompt_id))["status"]["completed"]


async def test_errors_fault_returns_500(tmp_path: Path) -> None:
    """`errors` makes the given number of requests return 500."""
    async with open_session(tmp_path) as engine, engine.socket() as socket:
        await engine.post(faulty("errors;count=2"))
        while (await socket.receive(5)).json()["type"] != "execution_success":
            pass
        assert [(await engine.get("/prompt"))[0] for _ in range(3)] == [500, 500, 200]


async def test_slow_fault_waits_before_a_node(tmp_path: Path) -> None:
    """`slow` waits the given seconds before a node."""
    async with open_session(tmp_path, "--fault", "slow@EmbeddedSleep;seconds=0.4") as engine:
        started = asyncio.get_running_loop().time()
        assert await engine.failed(slow(0)) == ""
        assert asyncio.get_running_loop().time() - started >= 0.4
